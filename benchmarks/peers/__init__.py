"""What the steps of this project are compared with."""
