"""What each protocol's clients read: pages made from a snapshot, which its approvers sign with it."""
