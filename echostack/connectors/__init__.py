"""The connectors that ship. One file each: settings, connector. What they share stands beside them.

``BUILTIN`` names them all without importing any; the default registry is made of it.
"""

from __future__ import annotations

from typing import Final

BUILTIN: Final[dict[str, str]] = {
    "claude.agent": "echostack.connectors.claude.agent:ClaudeAgent",
    "deepgram.stt": "echostack.connectors.deepgram.stt:DeepgramStt",
    "egress.app": "echostack.connectors.app_egress:AppEgress",
    "egress.file": "echostack.connectors.file_egress:FileEgress",
    "egress.livekit": "echostack.connectors.livekit.egress:LiveKitEgress",
    "egress.speaker": "echostack.connectors.speaker_egress:SpeakerEgress",
    "elevenlabs.tts": "echostack.connectors.elevenlabs.tts:ElevenLabsTts",
    "faq.agent": "echostack.connectors.faq_agent:FaqAgent",
    "http.request": "echostack.connectors.http_request:HttpRequest",
    "ingress.app": "echostack.connectors.app_ingress:AppIngress",
    "ingress.file": "echostack.connectors.file_ingress:FileIngress",
    "ingress.livekit": "echostack.connectors.livekit.ingress:LiveKitIngress",
    "ingress.mic": "echostack.connectors.mic_ingress:MicIngress",
    "intent.router": "echostack.connectors.intent_router:IntentRouter",
    "knowledge.search": "echostack.connectors.knowledge_search:KnowledgeSearch",
    "llama.agent": "echostack.connectors.openai.llama:LlamaAgent",
    "moonshine.stt": "echostack.connectors.moonshine_stt:MoonshineStt",
    "openai.agent": "echostack.connectors.openai.agent:OpenAIAgent",
    "piper.tts": "echostack.connectors.piper_tts:PiperTts",
    "say.agent": "echostack.connectors.say_agent:SayAgent",
    "sentiment.score": "echostack.connectors.sentiment_score:score",
    "transcript.log": "echostack.connectors.transcript_log:TranscriptLog",
    "webhook.send": "echostack.connectors.webhook_send:WebhookSend",
    "webrtc.vad": "echostack.connectors.webrtc_vad:WebrtcVad",
}
"""Registry name → ``module:attribute``."""
