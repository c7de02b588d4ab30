"""The services of the high side: each reads the channel through its approvers' signatures."""
