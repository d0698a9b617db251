"""Has a champion decayed: monitors of inputs, predictions and outcomes, and what they allow (METHOD 5)."""
