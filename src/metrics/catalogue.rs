//! Every name that is shown, once. `catalogue.md` beside this file is the same as a table; a test of the server keeps both equal to
//! what it shows.
//!
//! Where Kafka has the number, name and labels are those that Prometheus' JMX exporter 0.20 gives Kafka's MBean by its own rules for
//! Kafka (`kafka-2_0_0.yml`, `kafka-kraft-3_0_0.yml`) or by those of Strimzi where only they know it; later exporters write
//! `_count_total` for `_count`. Percentiles are those of lately, as Kafka's; histograms of all since the start stand beside them
//! under names of our own. Lags and offsets of groups have the names of the widespread `kafka_exporter`, `process_…` those of every
//! Prometheus client.

/// What kind of number it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows; samples have `_total` behind the name.
    Counter,
    /// Only grows; its samples have no `_total`, and mostly `_count` in their name.
    Count,
    Gauge,
    /// Samples are `_bucket`, `_sum` and `_count`.
    Histogram,
}

/// One name.
#[derive(Debug, PartialEq, Eq)]
pub struct Family {
    /// Without `_total`.
    pub name: &'static str,
    pub kind: Kind,
    pub labels: &'static [&'static str],
    pub help: &'static str,
}

impl Family {
    /// The kind as people know it.
    pub const fn shown_kind(&self) -> &'static str {
        match self.kind {
            Kind::Counter | Kind::Count => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        }
    }

    /// As people search for it.
    pub fn shown_name(&self) -> String {
        match self.kind {
            Kind::Counter => format!("{}_total", self.name),
            Kind::Count | Kind::Gauge | Kind::Histogram => self.name.to_owned(),
        }
    }
}

/// Declares families and lists them all, so that none can be left out of the list.
macro_rules! families {
    ($($family:ident $kind:ident $name:literal [$($label:literal)*] $help:literal;)*) => {
        $(pub static $family: Family =
            Family { name: $name, kind: Kind::$kind, labels: &[$($label),*], help: $help };)*
        /// Every family, in the order of the table.
        pub static ALL: &[&Family] = &[$(&$family),*];
    };
}

families! {
    MESSAGES_IN Counter "kafka_server_brokertopicmetrics_messagesin" ["topic"] "Records that producers have appended; without a topic, those of all topics.";
    BYTES_IN Counter "kafka_server_brokertopicmetrics_bytesin" ["topic"] "Bytes that producers have appended.";
    BYTES_OUT Counter "kafka_server_brokertopicmetrics_bytesout" ["topic"] "Bytes of records that consumers were sent.";
    BYTES_REJECTED Counter "kafka_server_brokertopicmetrics_bytesrejected" ["topic"] "Bytes of batches that were refused for their size.";
    PRODUCE_REQUESTS Counter "kafka_server_brokertopicmetrics_totalproducerequests" ["topic"] "Partitions that producers have asked to append to.";
    PRODUCE_FAILURES Counter "kafka_server_brokertopicmetrics_failedproducerequests" ["topic"] "Those of them that were refused.";
    FETCH_REQUESTS Counter "kafka_server_brokertopicmetrics_totalfetchrequests" ["topic"] "Partitions that consumers and followers have asked to read.";
    FETCH_FAILURES Counter "kafka_server_brokertopicmetrics_failedfetchrequests" ["topic"] "Those of them that were refused.";
    REPLICATION_BYTES_IN Counter "kafka_server_brokertopicmetrics_replicationbytesin" [] "Bytes that this broker has taken from leaders.";
    REPLICATION_BYTES_OUT Counter "kafka_server_brokertopicmetrics_replicationbytesout" [] "Bytes that this broker has sent to followers.";
    LEADER_COUNT Gauge "kafka_server_replicamanager_leadercount" [] "Partitions that this broker leads.";
    PARTITION_COUNT Gauge "kafka_server_replicamanager_partitioncount" [] "Partitions that have a replica on this broker.";
    UNDER_REPLICATED Gauge "kafka_server_replicamanager_underreplicatedpartitions" [] "Partitions led here whose in-sync set lacks a replica, other than one that a reassignment adds.";
    UNDER_MIN_ISR Gauge "kafka_server_replicamanager_underminisrpartitioncount" [] "Partitions led here with fewer in-sync replicas than min.insync.replicas and than they have.";
    AT_MIN_ISR Gauge "kafka_server_replicamanager_atminisrpartitioncount" [] "Partitions led here with just as many.";
    OFFLINE_REPLICAS Gauge "kafka_server_replicamanager_offlinereplicacount" [] "Replicas here that serve nobody, since their log or directory has failed.";
    REASSIGNING Gauge "kafka_server_replicamanager_reassigningpartitions" [] "Partitions led here that are being moved.";
    ISR_SHRINKS Counter "kafka_server_replicamanager_isrshrinks" [] "In-sync sets that a leader here has made smaller.";
    ISR_EXPANDS Counter "kafka_server_replicamanager_isrexpands" [] "In-sync sets that a leader here has made larger.";
    ISR_FAILURES Counter "kafka_server_replicamanager_failedisrupdates" [] "Changes of in-sync sets that the controller has refused.";
    BROKER_STATE Gauge "kafka_server_kafkaserver_brokerstate" [] "1 starting, 3 running, 6 stopping.";
    DISK_READ Gauge "kafka_server_kafkaserver_linux_disk_read_bytes" [] "Bytes that were read from disks, since the start.";
    DISK_WRITE Gauge "kafka_server_kafkaserver_linux_disk_write_bytes" [] "Bytes that were handed to disks, since the start.";
    UNCLEANABLE Gauge "kafka_log_logcleanermanager_uncleanable_partitions_count" ["logDirectory"] "Compacted logs that are set aside, since their bytes are broken.";
    CLEANER_LAST_RUN Gauge "kafka_log_logcleanermanager_time_since_last_run_ms" [] "Time since compaction last looked for work, in ms: a pause and a pass, or nobody does.";
    HANDLER_IDLE Gauge "kafka_server_kafkarequesthandlerpool_requesthandleravgidle_percent" [] "Part of the time, from 0 to 1, in which the threads of requests had nothing to do, since the last look.";
    NETWORK_IDLE Gauge "kafka_network_socketserver_networkprocessoravgidlepercent" [] "The same: these threads read and write too.";
    NETWORK_IDLE_STRIMZI Gauge "kafka_network_socketserver_networkprocessoravgidle_percent" [] "The same by the name that Strimzi's rules give it.";
    FETCH_SESSIONS Gauge "kafka_server_fetchsessioncache_numincrementalfetchsessions" [] "Fetch sessions that are remembered.";
    CONNECTION_COUNT Gauge "kafka_server_socket_server_metrics_connection_count" ["listener" "networkProcessor"] "Connections that are open.";
    REQUESTS Counter "kafka_network_requestmetrics_requests" ["request" "version"] "Requests that were started; those of Fetch once more as FetchConsumer or FetchFollower.";
    REQUEST_TIME Gauge "kafka_network_requestmetrics_totaltimems" ["request" "quantile"] "Time from reading a request to writing its answer, in ms, of about the last five minutes; for those that were asked at least once.";
    REQUEST_COUNT Count "kafka_network_requestmetrics_totaltimems_count" ["request"] "Requests that were answered.";
    REQUEST_LOCAL Gauge "kafka_network_requestmetrics_localtimems" ["request" "quantile"] "The part of that time until a request's handler had done what can be done at once.";
    REQUEST_LOCAL_COUNT Count "kafka_network_requestmetrics_localtimems_count" ["request"] "Requests that were answered.";
    REQUEST_REMOTE Gauge "kafka_network_requestmetrics_remotetimems" ["request" "quantile"] "The rest: waiting for stable storage, other brokers, records, members.";
    REQUEST_REMOTE_COUNT Count "kafka_network_requestmetrics_remotetimems_count" ["request"] "Requests that were answered.";
    REQUEST_TIMES Histogram "ottla_network_request_time_ms" ["request"] "The same time since the start.";
    MEMORY_USED Gauge "kafka_network_socketserver_memorypoolused" [] "Memory that requests and answers hold, in bytes.";
    MEMORY_AVAILABLE Gauge "kafka_network_socketserver_memorypoolavailable" [] "What is left of request.memory.max.bytes.";
    ACTIVE_CONTROLLER Gauge "kafka_controller_kafkacontroller_activecontrollercount" [] "1 on the node that decides for the cluster, 0 elsewhere.";
    ACTIVE_BROKERS Gauge "kafka_controller_kafkacontroller_activebrokercount" [] "Registered brokers that are not fenced.";
    FENCED_BROKERS Gauge "kafka_controller_kafkacontroller_fencedbrokercount" [] "Registered brokers that are fenced.";
    GLOBAL_TOPICS Gauge "kafka_controller_kafkacontroller_globaltopiccount" [] "Topics of the cluster.";
    GLOBAL_PARTITIONS Gauge "kafka_controller_kafkacontroller_globalpartitioncount" [] "Partitions of the cluster.";
    OFFLINE_PARTITIONS Gauge "kafka_controller_kafkacontroller_offlinepartitionscount" [] "Partitions of the cluster without a leader.";
    PREFERRED_IMBALANCE Gauge "kafka_controller_kafkacontroller_preferredreplicaimbalancecount" [] "Partitions whose leader is not their first replica.";
    LAST_APPLIED Gauge "kafka_controller_kafkacontroller_lastappliedrecordoffset" [] "The offset in the metadata log up to which this node knows the cluster.";
    REPLICAS_COUNT Gauge "kafka_cluster_partition_replicascount" ["topic" "partition"] "Replicas of a partition; 0 when it is led elsewhere, as in the next four.";
    IN_SYNC_COUNT Gauge "kafka_cluster_partition_insyncreplicascount" ["topic" "partition"] "Those of them that are in sync.";
    IS_UNDER_REPLICATED Gauge "kafka_cluster_partition_underreplicated" ["topic" "partition"] "1 when the in-sync set lacks a replica.";
    IS_UNDER_MIN_ISR Gauge "kafka_cluster_partition_underminisr" ["topic" "partition"] "1 when fewer are in sync than min.insync.replicas.";
    IS_AT_MIN_ISR Gauge "kafka_cluster_partition_atminisr" ["topic" "partition"] "1 when it is just as many.";
    UNCLEAN_ELECTIONS Counter "kafka_controller_controllerstats_uncleanleaderelections" [] "Leaders elected by this node that may lack what was committed.";
    ELIGIBLE_ELECTIONS Counter "kafka_controller_controllerstats_electionfromeligibleleaderreplicas" [] "Leaders elected by this node from the eligible replicas (KIP-966).";
    MAX_LAG Gauge "kafka_server_replicafetchermanager_maxlag" ["clientId"] "The most offsets by which a replica here is behind its leader's high watermark.";
    LOG_SIZE Gauge "kafka_log_log_size" ["topic" "partition"] "Bytes of the log's segments.";
    LOG_START Gauge "kafka_log_log_logstartoffset" ["topic" "partition"] "The first offset that can be read.";
    LOG_END Gauge "kafka_log_log_logendoffset" ["topic" "partition"] "The next offset to be written.";
    LOG_SEGMENTS Gauge "kafka_log_log_numlogsegments" ["topic" "partition"] "Segments of the log.";
    FLUSH_TIME Gauge "kafka_log_logflushstats_logflushrateandtimems" ["quantile"] "Time that bringing one log to stable storage took, in ms, of about the last five minutes: one flush for everything that was appended meanwhile.";
    FLUSH_COUNT Count "kafka_log_logflushstats_logflushrateandtimems_count" [] "Flushes of logs.";
    FLUSH_TIMES Histogram "ottla_log_flush_time_ms" [] "The time of flushes since the start.";
    FLUSH_FAILURES Counter "ottla_flush_failures" [] "Flushes that have failed.";
    LAST_STABLE_LAG Gauge "kafka_cluster_partition_laststableoffsetlag" ["topic" "partition"] "Offsets between the high watermark and the first one of a transaction that is open.";
    OFFLINE_DIRECTORIES Gauge "kafka_log_logmanager_offlinelogdirectorycount" [] "Directories of log.dirs that are out of use since a flush has failed.";
    DIRECTORY_OFFLINE Gauge "kafka_log_logmanager_logdirectoryoffline" ["logDirectory"] "1 for each of those.";
    GROUPS Gauge "kafka_coordinator_group_groupmetadatamanager_numgroups" [] "Groups that this broker coordinates.";
    GROUPS_STABLE Gauge "kafka_coordinator_group_groupmetadatamanager_numgroupsstable" [] "Those of them that are at work.";
    GROUPS_EMPTY Gauge "kafka_coordinator_group_groupmetadatamanager_numgroupsempty" [] "Those of them without members.";
    GROUPS_PREPARING Gauge "kafka_coordinator_group_groupmetadatamanager_numgroupspreparingrebalance" [] "Those of them that wait for members.";
    GROUPS_COMPLETING Gauge "kafka_coordinator_group_groupmetadatamanager_numgroupscompletingrebalance" [] "Those of them that wait for their leader's assignment.";
    GROUPS_DEAD Gauge "kafka_coordinator_group_groupmetadatamanager_numgroupsdead" [] "Always 0: one that is removed is gone at once.";
    GROUP_OFFSETS Gauge "kafka_coordinator_group_groupmetadatamanager_numoffsets" [] "Committed offsets that are remembered.";
    TOPIC_PARTITIONS Gauge "kafka_topic_partitions" ["topic"] "Partitions of a topic; shown by the node that decides for the cluster, so that a sum over brokers is right.";
    TOPIC_OFFSET Gauge "kafka_topic_partition_current_offset" ["topic" "partition"] "Up to where consumers may read a partition; shown by its leader.";
    BROKERS Gauge "kafka_brokers" [] "Registered brokers that are not fenced, shown by the same node.";
    GROUP_MEMBERS Gauge "kafka_consumergroup_members" ["consumergroup"] "Members of a group that this broker coordinates.";
    GROUP_OFFSET Gauge "kafka_consumergroup_current_offset" ["consumergroup" "topic" "partition"] "What the group has committed.";
    GROUP_LAG Gauge "kafka_consumergroup_lag" ["consumergroup" "topic" "partition"] "Offsets between that and the high watermark, of partitions that have a replica on this broker.";
    GROUP_SERIES_LEFT_OUT Gauge "ottla_consumergroup_series_left_out" [] "Partitions of groups that are not shown, since 10000 are.";
    CONNECTIONS_ACCEPTED Counter "ottla_connections_accepted" [] "Connections that were let in.";
    CONNECTIONS_REFUSED Counter "ottla_connections_refused" [] "Connections that were refused by a limit.";
    NETWORK_BYTES_IN Counter "ottla_network_bytes_in" [] "Bytes of requests that were read.";
    NETWORK_BYTES_OUT Counter "ottla_network_bytes_out" [] "Bytes of answers that were written.";
    BUILD_INFO Gauge "ottla_build_info" ["version"] "Always 1.";
    PROCESS_CPU Counter "process_cpu_seconds" [] "Processor time of this process, in seconds.";
    PROCESS_MEMORY Gauge "process_resident_memory_bytes" [] "Memory of this process.";
    PROCESS_VIRTUAL Gauge "process_virtual_memory_bytes" [] "Addresses that it uses.";
    PROCESS_FILES Gauge "process_open_fds" [] "Files and sockets that are open.";
    PROCESS_FILES_MAX Gauge "process_max_fds" [] "How many may be.";
    PROCESS_START Gauge "process_start_time_seconds" [] "When it was started, in seconds since 1970.";
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;

    /// What Kafka itself shows; its head says how it was taken.
    const RECORDED: &str = include_str!("jmx_exporter.txt");
    /// Names of `kafka_exporter`, which asks brokers as a client does.
    const OF_CLIENTS: [&str; 3] = ["kafka_consumergroup_", "kafka_topic_", "kafka_brokers"];

    #[test]
    fn names_kinds_and_labels_are_those_of_kafka() {
        let fields = |line: &'static str| {
            let mut words = line.split(' ');
            let (name, kind) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
            let labels: BTreeSet<&str> = words.next().into_iter().flat_map(|labels| labels.split(',')).collect();
            (name.to_owned(), (kind, labels))
        };
        let recorded: BTreeMap<_, _> = RECORDED.lines().filter(|line| !line.starts_with('#')).map(fields).collect();
        let is_kafkas = |family: &&&Family| {
            family.name.starts_with("kafka_") && !OF_CLIENTS.iter().any(|prefix| family.name.starts_with(prefix))
        };
        assert!(ALL.iter().filter(is_kafkas).count() > 60);
        for family in ALL.iter().filter(is_kafkas) {
            let name = family.shown_name();
            let (kind, labels) = recorded.get(&name).unwrap_or_else(|| panic!("Kafka has no {name}"));
            assert_eq!(family.shown_kind(), *kind, "{name}");
            let mut expected = labels.clone();
            // Topics have these only when there is something to count.
            if name.contains("brokertopicmetrics_") && family.labels == ["topic"] {
                expected.insert("topic");
            }
            assert_eq!(family.labels.iter().copied().collect::<BTreeSet<_>>(), expected, "{name}");
        }
    }
}
