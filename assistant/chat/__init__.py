"""OpenAI-compatible chat: the upstream server, what is relayed, the embedded replier and budgets."""
