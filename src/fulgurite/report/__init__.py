"""Tables of finished work; reads files alone, imports no torch."""
