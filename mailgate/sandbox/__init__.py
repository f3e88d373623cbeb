"""What a process gives up for good, without being privileged: files (Landlock) and system calls (seccomp)."""
