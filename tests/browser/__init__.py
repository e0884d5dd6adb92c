"""Tests in a browser, as a person sees the pages."""
