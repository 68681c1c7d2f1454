"""Finds grammar/, graphs/ and playbooks/ in a wheel, an editable install and a checkout alike."""
