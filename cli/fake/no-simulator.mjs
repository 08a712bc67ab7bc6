/** A simulator that cannot start, for a test. */
process.exit(7);
