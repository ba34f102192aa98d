"""Drills: one incident each, played on a local stack of its own, with what was seen and what held as a transcript."""
