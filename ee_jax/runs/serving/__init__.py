"""A language model behind the OpenAI protocol: what is asked, who answers, over HTTP."""
