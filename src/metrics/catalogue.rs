//! Every name that is shown, once. `catalogue.md` beside this file is the same as a table; a test of the server keeps both equal to
//! what it shows.
//!
//! Where Kafka has the number the name is that of Kafka's MBean, as the rules of Prometheus' JMX exporter for Kafka write it. Its
//! percentiles since the start are histograms here, under the same name and with the same `_count`. Lags and offsets of groups have
//! the names of the widespread `kafka_exporter`, `process_…` those of every Prometheus client.

/// What kind of number it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows; samples have `_total` behind the name.
    Counter,
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
    /// As people search for it.
    pub fn shown_name(&self) -> String {
        match self.kind {
            Kind::Counter => format!("{}_total", self.name),
            Kind::Gauge | Kind::Histogram => self.name.to_owned(),
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
    UNDER_REPLICATED Gauge "kafka_server_replicamanager_underreplicatedpartitions" [] "Partitions led here whose in-sync set lacks a replica.";
    UNDER_MIN_ISR Gauge "kafka_server_replicamanager_underminisrpartitioncount" [] "Partitions led here with fewer in-sync replicas than min.insync.replicas.";
    AT_MIN_ISR Gauge "kafka_server_replicamanager_atminisrpartitioncount" [] "Partitions led here with just as many.";
    OFFLINE_REPLICAS Gauge "kafka_server_replicamanager_offlinereplicacount" [] "Replicas here that serve nobody, since their log or directory has failed.";
    REASSIGNING Gauge "kafka_server_replicamanager_reassigningpartitions" [] "Partitions led here that are being moved.";
    ISR_SHRINKS Counter "kafka_server_replicamanager_isrshrinks" [] "In-sync sets that a leader here has made smaller.";
    ISR_EXPANDS Counter "kafka_server_replicamanager_isrexpands" [] "In-sync sets that a leader here has made larger.";
    ISR_FAILURES Counter "kafka_server_replicamanager_failedisrupdates" [] "Changes of in-sync sets that the controller has refused.";
    BROKER_STATE Gauge "kafka_server_kafkaserver_brokerstate" [] "1 starting, 3 running, 6 stopping.";
    UNCLEANABLE Gauge "kafka_log_logcleanermanager_uncleanable_partitions_count" [] "Compacted logs that are set aside, since their bytes are broken.";
    CLEANER_LAST_RUN Gauge "kafka_log_logcleanermanager_time_since_last_run_ms" [] "Time since compaction last looked for work, in ms: a pause and a pass, or nobody does.";
    HANDLER_IDLE Gauge "kafka_server_kafkarequesthandlerpool_requesthandleravgidle_percent" [] "Part of the time, from 0 to 1, in which the threads of requests had nothing to do, since the last look.";
    FETCH_SESSIONS Gauge "kafka_server_fetchsessioncache_numincrementalfetchsessions" [] "Fetch sessions that are remembered.";
    CONNECTION_COUNT Gauge "kafka_server_socket_server_metrics_connection_count" ["listener"] "Connections that are open.";
    REQUESTS Counter "kafka_network_requestmetrics_requests" ["request"] "Requests that were started.";
    REQUEST_TIME Histogram "kafka_network_requestmetrics_totaltimems" ["request"] "Time from reading a request to writing its answer, in ms; for those that were asked at least once.";
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
    LOG_SIZE Gauge "kafka_log_log_size" ["topic" "partition"] "Bytes of the log's segments.";
    LOG_START Gauge "kafka_log_log_logstartoffset" ["topic" "partition"] "The first offset that can be read.";
    LOG_END Gauge "kafka_log_log_logendoffset" ["topic" "partition"] "The next offset to be written.";
    LOG_SEGMENTS Gauge "kafka_log_log_numlogsegments" ["topic" "partition"] "Segments of the log.";
    FLUSH_TIME Histogram "kafka_log_logflushstats_logflushrateandtimems" [] "Time that bringing one log to stable storage took, in ms: one flush for everything that was appended meanwhile.";
    FLUSH_FAILURES Counter "ottla_flush_failures" [] "Flushes that have failed.";
    OFFLINE_DIRECTORIES Gauge "kafka_log_logmanager_offlinelogdirectorycount" [] "Directories of log.dirs that are out of use since a flush has failed.";
    GROUPS Gauge "kafka_coordinator_group_groupmetadatamanager_numgroups" [] "Groups that this broker coordinates.";
    GROUPS_STABLE Gauge "kafka_coordinator_group_groupmetadatamanager_numgroupsstable" [] "Those of them that are at work.";
    GROUPS_EMPTY Gauge "kafka_coordinator_group_groupmetadatamanager_numgroupsempty" [] "Those of them without members.";
    GROUPS_PREPARING Gauge "kafka_coordinator_group_groupmetadatamanager_numgroupspreparingrebalance" [] "Those of them that wait for members.";
    GROUPS_COMPLETING Gauge "kafka_coordinator_group_groupmetadatamanager_numgroupscompletingrebalance" [] "Those of them that wait for their leader's assignment.";
    GROUP_OFFSETS Gauge "kafka_coordinator_group_groupmetadatamanager_numoffsets" [] "Committed offsets that are remembered.";
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
    PROCESS_FILES Gauge "process_open_fds" [] "Files and sockets that are open.";
    PROCESS_FILES_MAX Gauge "process_max_fds" [] "How many may be.";
    PROCESS_START Gauge "process_start_time_seconds" [] "When it was started, in seconds since 1970.";
}
