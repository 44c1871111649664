"""The lab: what turns a fresh Debian machine into one that runs the platform in containers."""
