"""Every finding of this floor by its code: E01 and W01 about the document, E02 about arrows and guards.

A code never changes its meaning and is never used again for another; the page about it stands under
docs/diagnostics/.
"""

from __future__ import annotations

from typing import Final

from echostack.core.diagnostic import Code

# The file as text.
TOO_LARGE: Final = Code("E0101", "file too large")
NOT_UTF8: Final = Code("E0102", "not UTF-8")
CONTROL_CHARACTER: Final = Code("E0103", "a character that no text file holds")

# YAML and JSON.
YAML_SYNTAX: Final = Code("E0104", "not valid YAML")
JSON_SYNTAX: Final = Code("E0105", "not valid JSON")
DUPLICATE_KEY: Final = Code("E0106", "the same key twice")
TAG: Final = Code("E0107", "a YAML tag")
TOO_DEEP: Final = Code("E0108", "nested too deeply")
TOO_MANY_PARTS: Final = Code("E0109", "too many parts, or aliases that multiply")
SEVERAL_DOCUMENTS: Final = Code("E0110", "more than one document in a file")
TAB_INDENT: Final = Code("E0111", "a tab outside quotes")
BAD_ALIAS: Final = Code("E0112", "an alias without its anchor")
BAD_KEY: Final = Code("E0113", "a key that is not text")
NOT_A_MAPPING: Final = Code("E0114", "the file is not a mapping of sections")
EMPTY_FILE: Final = Code("E0115", "an empty file")
YAML_VERSION: Final = Code("E0116", "a YAML directive")
BAD_NUMBER: Final = Code("E0117", "a number out of range")
LONE_SURROGATE: Final = Code("E0118", "half a character")

# Sections and their keys.
UNKNOWN_SECTION: Final = Code("E0120", "unknown section")
UNKNOWN_KEY: Final = Code("E0121", "unknown key")
WRONG_TYPE: Final = Code("E0122", "the wrong type of value")
OUT_OF_RANGE: Final = Code("E0123", "a value out of its range")
BAD_DURATION: Final = Code("E0124", "not a duration")
BAD_CHOICE: Final = Code("E0125", "not one of the allowed words")
BAD_NAME: Final = Code("E0126", "not a name")
MISSING_KEY: Final = Code("E0127", "a key is missing")
NO_PIPELINE: Final = Code("E0128", "no pipeline")
EMPTY_PIPELINE: Final = Code("E0129", "an empty pipeline")
LANGUAGE_VERSION: Final = Code("E0130", "a version of the language that is not known")
NEEDS_USE: Final = Code("E0131", "a bare name without `use:`")
BAD_ENV: Final = Code("E0132", "a wrong `{env: NAME}`")
BAD_PATTERN: Final = Code("E0133", "not an event pattern")
BAD_PATH: Final = Code("E0134", "not a path of an import")
NOT_A_SWITCH: Final = Code("E0135", "neither true nor false")

# What YAML does to a rule before the arrows are read.
HASH_CUTS: Final = Code("E0140", "a # cuts the rule")
COLON_CUTS: Final = Code("E0141", "a colon and a blank cut the rule")
RULE_START: Final = Code("E0142", "a rule begins with a character that YAML keeps for itself")
COMMA_CUTS: Final = Code("E0143", "a comma or bracket in a flow list cuts the rule")
PORT_BLANK: Final = Code("E0144", "a blank after the colon of a port")
NOT_A_RULE: Final = Code("E0145", "an item of the pipeline that is no rule")
OPTIONS_ON_CHAIN: Final = Code("E0146", "options on a rule of several arrows")
BAD_OPTIONS: Final = Code("E0147", "options that are no mapping")

# Scenarios.
NO_FORM: Final = Code("E0150", "an item without the key that says what it is")
TWO_FORMS: Final = Code("E0151", "two items in one")
NOT_TOGETHER: Final = Code("E0152", "keys that cannot stand together")
SCENARIO_TWICE: Final = Code("E0153", "two scenarios of one name")
SCENARIO_FILE: Final = Code("E0154", "a file of scenarios in the place of a graph")

# Arrows.
FAT_ARROW: Final = Code("E0201", "=> for an arrow")
LONG_ARROW: Final = Code("E0202", "--> for an arrow")
PIPE: Final = Code("E0203", "| for an arrow")
LEFT_ARROW: Final = Code("E0204", "an arrow to the left")
ODD_ARROW: Final = Code("E0205", "a character that looks like an arrow")
ARROW_TWICE: Final = Code("E0206", "two arrows in a row")
ARROW_AT_END: Final = Code("E0207", "an arrow to nowhere")
ARROW_AT_START: Final = Code("E0208", "an arrow from nowhere")
NO_ARROW: Final = Code("E0209", "a rule without an arrow")
EMPTY_RULE: Final = Code("E0210", "an empty rule")

# Groups and choices.
GROUP_OPEN: Final = Code("E0211", "an unclosed group")
GROUP_CLOSE: Final = Code("E0212", "a closing parenthesis too many")
GROUP_EMPTY: Final = Code("E0213", "an empty group")
GROUP_OF_ONE: Final = Code("E0214", "a group of one")
GROUPS_ADJACENT: Final = Code("E0215", "two groups beside each other")
GROUP_NESTED: Final = Code("E0216", "a group inside a group")
ARROW_IN_GROUP: Final = Code("E0217", "an arrow inside a group")
GROUP_COMMA: Final = Code("E0218", "a comma too many in a group")
COMMA_OUTSIDE: Final = Code("E0219", "a comma outside a group")
ONE_QUESTION: Final = Code("E0220", "? for ??")
CHOICE_DANGLING: Final = Code("E0221", "a ?? without its other side")
BRACKET_GROUP: Final = Code("E0222", "brackets for a group")
CHOICE_OF_GROUP: Final = Code("E0223", "a ?? beside a group")

# Names, ports, patterns.
TWO_NAMES: Final = Code("E0230", "two names with nothing between them")
QUOTE_IN_NAME: Final = Code("E0231", "a quote in a name")
HYPHEN_IN_NAME: Final = Code("E0232", "a hyphen in a name")
DIGIT_FIRST: Final = Code("E0233", "a name that begins with a digit")
EMPTY_PART: Final = Code("E0234", "an empty part of a name")
STAR_PART: Final = Code("E0235", "a star that is not a whole part")
PORT_MISSING: Final = Code("E0236", "a colon without a port")
PORT_ON_PATTERN: Final = Code("E0237", "a port on an event pattern")
PATTERN_CHOICE: Final = Code("E0238", "an event pattern in a choice")
SLASH_IN_NAME: Final = Code("E0239", "a slash in a name")
ODD_CHARACTER: Final = Code("E0240", "a character that no rule holds")
INVISIBLE: Final = Code("E0241", "an invisible character in a rule")
RULE_TOO_LONG: Final = Code("E0242", "a rule too long to be one")
PORT_TWICE: Final = Code("E0243", "two ports on one name")

# Guards.
GUARD_OPEN: Final = Code("E0250", "an unclosed guard")
GUARD_EMPTY: Final = Code("E0251", "an empty guard")
GUARD_BESIDE: Final = Code("E0252", "a guard beside its arrow")
GUARD_END: Final = Code("E0253", "a guard that does not end in ]->")
EQUALS: Final = Code("E0254", "= for ==")
AND_SIGN: Final = Code("E0255", "&& for and")
OR_SIGN: Final = Code("E0256", "|| for or")
NOT_SIGN: Final = Code("E0257", "! for not")
STRING_OPEN: Final = Code("E0258", "an unclosed string")
CHAINED: Final = Code("E0259", "a chained comparison")
CALL: Final = Code("E0260", "a function call in a guard")
DOTTED_FIELD: Final = Code("E0261", "a dot in a field")
ELSE_COMBINED: Final = Code("E0262", "else with something beside it")
OPERAND_MISSING: Final = Code("E0263", "a side of an operator is missing")
OPERATOR_MISSING: Final = Code("E0264", "two values with no operator between them")
GUARD_PARENTHESIS: Final = Code("E0265", "parentheses of a guard that do not match")
IN_WHAT: Final = Code("E0266", "in without a list or a field")
ARITHMETIC: Final = Code("E0267", "arithmetic in a guard")
ODD_QUOTES: Final = Code("E0268", "typographic quotes")
UPPER_CASE: Final = Code("E0269", "AND, OR, NOT, IN or ELSE in capitals")
ODD_OPERATOR: Final = Code("E0270", "an operator that does not exist")
BAD_ESCAPE: Final = Code("E0271", "an escape that a string does not have")
GUARD_TOO_DEEP: Final = Code("E0272", "a guard nested too deeply")
NOT_A_TEST: Final = Code("E0273", "a text or a number standing alone as a guard")

# Things that run but may not mean what was meant.
OLD_BOOLEAN: Final = Code("W0101", "yes, no, on or off as a value")
LOST_DIGITS: Final = Code("W0102", "a number that loses its zeros or its plus")
SHELL_VARIABLE: Final = Code("W0103", "a shell variable in a value")
BIDI_CONTROL: Final = Code("W0104", "a character that turns the direction of text")
MERGE_KEY: Final = Code("W0105", "a merge key, which is plain text here")

CODES: Final[tuple[Code, ...]] = tuple(v for v in list(globals().values()) if isinstance(v, Code))
"""All of them, in the order of this page."""
