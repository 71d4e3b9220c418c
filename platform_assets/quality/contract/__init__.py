"""The contract of the landed rows, enforced where rows are: conditions in SQL, and checks of whole columns."""
