"""The running loop: replay, paper and live are one, fed by different feeds. No order leaves the machine."""
