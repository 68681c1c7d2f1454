"""The connectors that ship. One file each: settings, connector, simulation."""
