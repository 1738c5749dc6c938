"""Things to run from a clone and to copy from; none of it is installed with the server or the SDK."""
