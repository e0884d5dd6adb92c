"""What is shipped, and where it runs: ``make dist``, ``make matrix``, ``make audit``, ``make types``."""
