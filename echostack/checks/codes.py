"""The findings of the check: types and settings (04), topology and time (05), environment (06).

Each is documented under docs/diagnostics/.
"""

from __future__ import annotations

from typing import Final

from echostack.core.diagnostic import Code

UNKNOWN_CONNECTOR: Final = Code("E0401", "a connector that nobody provides")
BROKEN_CONNECTOR: Final = Code("E0402", "a connector cannot be loaded")
UNKNOWN_KIND: Final = Code("E0403", "a kind that does not exist")
TRANSPORT_KIND: Final = Code("E0404", "a transport does not carry the kind named at its end")
NO_PRODUCER: Final = Code("E0405", "a pattern that no event matches")
KINDS_DO_NOT_MEET: Final = Code("E0406", "two ends of an arrow have no kind in common")
UNKNOWN_PORT: Final = Code("E0407", "a node has no such port")
UNKNOWN_SETTING: Final = Code("E0408", "a connector has no such setting")
MISSING_SETTING: Final = Code("E0409", "a connector lacks a setting that it needs")
WRONG_SETTING: Final = Code("E0410", "a setting has a value that cannot be")
UNKNOWN_FIELD: Final = Code("E0411", "a guard asks for a field that nothing on its edge has")
GUARD_TYPES: Final = Code("E0412", "a guard compares what cannot be compared")
STRAY_ELSE: Final = Code("E0413", "an `else` without a guarded sibling")
NO_FALLBACK: Final = Code("E0414", "a member of a choice cannot stand in for the others")
FALLBACK_FORMATS: Final = Code("E0415", "the members of a choice need different audio formats")
UNKNOWN_PLAYBOOK: Final = Code("E0416", "a playbook that is not declared")
NO_PLAYBOOKS_YET: Final = Code("E0417", "playbooks cannot run yet")
FALLBACK_DIFFERS: Final = Code("W0418", "the members of a choice differ in what they take or make")
NO_SUCH_PART: Final = Code("E0420", "a scenario names what the graph does not have")
CANNOT_GIVE: Final = Code("E0421", "a scenario gives what a node or a kind does not have")
CANNOT_CALL: Final = Code("E0422", "a step of the caller that the graph cannot take")
NEVER_TAKEN: Final = Code("W0423", "a scenario gives what no rule takes further")
UNUSED_CONNECTOR: Final = Code("W0419", "a connector is declared and not used")

ACCIDENTAL_CYCLE: Final = Code("E0501", "a cycle that is not marked as one")
PATTERN_CYCLE: Final = Code("E0502", "a pattern feeds a node that it matches")
DEADLOCK: Final = Code("E0503", "a cycle that can deadlock")
NO_CYCLE: Final = Code("W0504", "a rule is marked as a cycle and is on none")
NOTHING_FEEDS: Final = Code("W0505", "a node that nothing feeds")
GOES_NOWHERE: Final = Code("W0506", "what a node makes goes nowhere")
MAY_BE_LOST: Final = Code("W0507", "a queue may drop what may not be lost")
DUPLICATE_EDGE: Final = Code("W0508", "a node would get the same events twice")
NEVER_INTERRUPTED: Final = Code("W0509", "speech that can never be interrupted")
NO_BARGE_IN: Final = Code("W0510", "barge-in is asked for where it cannot happen")
NO_SUCH_TRIGGER: Final = Code("E0511", "no node makes the event that barge-in waits for")
NO_VOICE_ACTIVITY: Final = Code("E0512", "barge-in has nothing that hears the caller speak")
UNKNOWN_TURN_END: Final = Code("E0513", "turns are ended by a node that does not exist")
OVER_BUDGET: Final = Code("W0514", "the reply is expected later than the budget allows")
PORT_GOES_NOWHERE: Final = Code("W0515", "a port leads nowhere")
BLOCKS_LIVE_AUDIO: Final = Code("W0516", "a slow node holds up live audio")
NOTHING_TO_GUESS: Final = Code("W0517", "speculation is asked for where nothing can begin on a guess")
LOW_MIN_SPEECH: Final = Code("W0518", "every sound counts as long enough to interrupt")

MISSING_ENV: Final = Code("E0601", "the environment lacks a value")
MISSING_PACKAGE: Final = Code("E0602", "a package is not installed")
SERVICE_DOWN: Final = Code("E0603", "a service does not answer as it should")

CODES: Final[tuple[Code, ...]] = (
    UNKNOWN_CONNECTOR, BROKEN_CONNECTOR, UNKNOWN_KIND, TRANSPORT_KIND, NO_PRODUCER, KINDS_DO_NOT_MEET, UNKNOWN_PORT,
    UNKNOWN_SETTING, MISSING_SETTING, WRONG_SETTING, UNKNOWN_FIELD, GUARD_TYPES, STRAY_ELSE, NO_FALLBACK,
    FALLBACK_FORMATS, UNKNOWN_PLAYBOOK, NO_PLAYBOOKS_YET, FALLBACK_DIFFERS, UNUSED_CONNECTOR, NO_SUCH_PART,
    CANNOT_GIVE, CANNOT_CALL, NEVER_TAKEN, ACCIDENTAL_CYCLE,
    PATTERN_CYCLE, DEADLOCK, NO_CYCLE, NOTHING_FEEDS, GOES_NOWHERE, MAY_BE_LOST, DUPLICATE_EDGE, NEVER_INTERRUPTED,
    NO_BARGE_IN, NO_SUCH_TRIGGER, NO_VOICE_ACTIVITY, UNKNOWN_TURN_END, OVER_BUDGET, PORT_GOES_NOWHERE,
    BLOCKS_LIVE_AUDIO, NOTHING_TO_GUESS, LOW_MIN_SPEECH, MISSING_ENV, MISSING_PACKAGE, SERVICE_DOWN,
)  # fmt: skip
"""Every code of this stage, in order."""
