"""What is made of the contract outside of the code, and how the contract has changed since a revision."""
