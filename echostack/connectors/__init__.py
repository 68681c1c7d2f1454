"""The connectors that ship. One file each: settings, connector. What they share stands beside them.

``BUILTIN`` names them all without importing any; the default registry is made of it.
"""

from __future__ import annotations

from typing import Final

BUILTIN: Final[dict[str, str]] = {
    "faq.agent": "echostack.connectors.faq_agent:FaqAgent",
    "http.request": "echostack.connectors.http_request:HttpRequest",
    "intent.router": "echostack.connectors.intent_router:IntentRouter",
    "knowledge.search": "echostack.connectors.knowledge_search:KnowledgeSearch",
    "say.agent": "echostack.connectors.say_agent:SayAgent",
    "sentiment.score": "echostack.connectors.sentiment_score:SentimentScore",
    "transcript.log": "echostack.connectors.transcript_log:TranscriptLog",
    "webhook.send": "echostack.connectors.webhook_send:WebhookSend",
}
"""Registry name → ``module:attribute``."""
