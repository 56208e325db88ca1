"""Many runs of one spec: what varies, each run in a folder of its own, one table and two pictures of them all."""
