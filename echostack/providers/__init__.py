"""Local servers that speak the providers' wire protocols, to run files for real providers without keys, and to test
connectors against what goes wrong with real ones. Needs the extra ``providers``."""
