"""Who can answer? Everything that answers a request, behind one method: `Expert.stream`."""
