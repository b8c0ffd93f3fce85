"""What is kept: people, consent records, catalogues, decisions. Personal data only under the person's own key."""
