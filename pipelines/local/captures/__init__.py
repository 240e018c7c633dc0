"""What hosts have kept of requests and answers, and what is made of it: quality by later labels, and drift."""
