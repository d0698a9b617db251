"""Raw captures, quotes and the order book: what stood in the book, and when it was known."""
