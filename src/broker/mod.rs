//! The shell: owns partitions, carries out the effects of machines, flushes, cleans.
