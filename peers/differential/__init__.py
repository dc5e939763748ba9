"""Compares Volley with torch and SpikingJelly in float64, on random cases: see docs/guide/trust.md."""
