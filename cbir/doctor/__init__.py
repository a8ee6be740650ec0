"""`cbir doctor`: is this deployment right, end to end, and what is to be done where it is not?"""
