"""OpenAI-compatible chat: the upstream server, the relay of its answers, the embedded replier and budgets."""
