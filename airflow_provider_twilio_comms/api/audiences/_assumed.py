"""Facts about cohorts that Twilio's pages leave open: what is assumed here, in one place.

Nobody has tried these against Twilio. If one turns out otherwise, change it here and nowhere else. The pages:
https://www.twilio.com/docs/cohorts, https://www.twilio.com/docs/bulk-messaging/cohorts
"""

from __future__ import annotations

# The store type of a memory store.
STORE_TYPE = "MEMORY_STORE"
# The names under which lists arrive.
COHORTS, COHORT_SNAPSHOTS = "cohorts", "cohortSnapshots"
# The names under which one resource may be wrapped; one that is not wrapped is read too.
COHORT, COHORT_SNAPSHOT, OPERATION = "cohort", "cohortSnapshot", "operation"
# The keys of groups as recipients of a bulk send; the first is documented, the second is not.
COHORT_RECIPIENT, SNAPSHOT_RECIPIENT = "cohortId", "cohortSnapshotId"
# The prefixes of ids, which the pages show in examples.
COHORT_PREFIX, SNAPSHOT_PREFIX, OPERATION_PREFIX = "cmp_cohort_", "cmp_cohortsnapshot_", "cmp_operation_"
