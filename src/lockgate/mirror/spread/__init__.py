"""What is served of a large snapshot beside Python projects: looked up in the few parts that have it."""
