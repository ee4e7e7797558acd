//! Shapes of every request of Apache Kafka 4.3.1, generated from its schemas by `cargo compat generate-shapes`.
//!
//! One row for versions that are alike; fields of fixed size are one step.

use super::super::message as m;
use super::{Item, Op, Program, Tag};
use crate::protocol::api_key::ApiKey;

/// A string's memory in a vector.
const STRING_BYTES: usize = size_of::<m::StrBytes>();

const PRODUCE: &[Program] = &[
    Program {
        first: 3,
        last: 8,
        flexible: false,
        ops: &[
            Op::Text { nullable: true },
            Op::Skip(6),
            Op::Items {
                nullable: false,
                item: &Item {
                    min_bytes: 6,
                    size_bytes: size_of::<m::produce_request::TopicProduceData>(),
                    ops: &[
                        Op::Text { nullable: false },
                        Op::Items {
                            nullable: false,
                            item: &Item {
                                min_bytes: 8,
                                size_bytes: size_of::<m::produce_request::PartitionProduceData>(),
                                ops: &[Op::Skip(4), Op::Bytes { nullable: true }],
                            },
                        },
                    ],
                },
            },
        ],
    },
    Program {
        first: 9,
        last: 12,
        flexible: true,
        ops: &[
            Op::Text { nullable: true },
            Op::Skip(6),
            Op::Items {
                nullable: false,
                item: &Item {
                    min_bytes: 3,
                    size_bytes: size_of::<m::produce_request::TopicProduceData>(),
                    ops: &[
                        Op::Text { nullable: false },
                        Op::Items {
                            nullable: false,
                            item: &Item {
                                min_bytes: 6,
                                size_bytes: size_of::<m::produce_request::PartitionProduceData>(),
                                ops: &[Op::Skip(4), Op::Bytes { nullable: true }, Op::Tags(&[])],
                            },
                        },
                        Op::Tags(&[]),
                    ],
                },
            },
            Op::Tags(&[]),
        ],
    },
    Program {
        first: 13,
        last: 13,
        flexible: true,
        ops: &[
            Op::Text { nullable: true },
            Op::Skip(6),
            Op::Items {
                nullable: false,
                item: &Item {
                    min_bytes: 18,
                    size_bytes: size_of::<m::produce_request::TopicProduceData>(),
                    ops: &[
                        Op::Skip(16),
                        Op::Items {
                            nullable: false,
                            item: &Item {
                                min_bytes: 6,
                                size_bytes: size_of::<m::produce_request::PartitionProduceData>(),
                                ops: &[Op::Skip(4), Op::Bytes { nullable: true }, Op::Tags(&[])],
                            },
                        },
                        Op::Tags(&[]),
                    ],
                },
            },
            Op::Tags(&[]),
        ],
    },
];

const FETCH: &[Program] = &[
    Program {
        first: 4,
        last: 4,
        flexible: false,
        ops: &[
            Op::Skip(17),
            Op::Items {
                nullable: false,
                item: &Item {
                    min_bytes: 6,
                    size_bytes: size_of::<m::fetch_request::FetchTopic>(),
                    ops: &[
                        Op::Text { nullable: false },
                        Op::Items {
                            nullable: false,
                            item: &Item {
                                min_bytes: 16,
                                size_bytes: size_of::<m::fetch_request::FetchPartition>(),
                                ops: &[Op::Skip(16)],
                            },
                        },
                    ],
                },
            },
        ],
    },
    Program {
        first: 5,
        last: 6,
        flexible: false,
        ops: &[
            Op::Skip(17),
            Op::Items {
                nullable: false,
                item: &Item {
                    min_bytes: 6,
                    size_bytes: size_of::<m::fetch_request::FetchTopic>(),
                    ops: &[
                        Op::Text { nullable: false },
                        Op::Items {
                            nullable: false,
                            item: &Item {
                                min_bytes: 24,
                                size_bytes: size_of::<m::fetch_request::FetchPartition>(),
                                ops: &[Op::Skip(24)],
                            },
                        },
                    ],
                },
            },
        ],
    },
    Program {
        first: 7,
        last: 8,
        flexible: false,
        ops: &[
            Op::Skip(25),
            Op::Items {
                nullable: false,
                item: &Item {
                    min_bytes: 6,
                    size_bytes: size_of::<m::fetch_request::FetchTopic>(),
                    ops: &[
                        Op::Text { nullable: false },
                        Op::Items {
                            nullable: false,
                            item: &Item {
                                min_bytes: 24,
                                size_bytes: size_of::<m::fetch_request::FetchPartition>(),
                                ops: &[Op::Skip(24)],
                            },
                        },
                    ],
                },
            },
            Op::Items {
                nullable: false,
                item: &Item {
                    min_bytes: 6,
                    size_bytes: size_of::<m::fetch_request::ForgottenTopic>(),
                    ops: &[
                        Op::Text { nullable: false },
                        Op::Items { nullable: false, item: &Item { min_bytes: 4, size_bytes: 4, ops: &[Op::Skip(4)] } },
                    ],
                },
            },
        ],
    },
    Program {
        first: 9,
        last: 10,
        flexible: false,
        ops: &[
            Op::Skip(25),
            Op::Items {
                nullable: false,
                item: &Item {
                    min_bytes: 6,
                    size_bytes: size_of::<m::fetch_request::FetchTopic>(),
                    ops: &[
                        Op::Text { nullable: false },
                        Op::Items {
                            nullable: false,
                            item: &Item {
                                min_bytes: 28,
                                size_bytes: size_of::<m::fetch_request::FetchPartition>(),
                                ops: &[Op::Skip(28)],
                            },
                        },
                    ],
                },
            },
            Op::Items {
                nullable: false,
                item: &Item {
                    min_bytes: 6,
                    size_bytes: size_of::<m::fetch_request::ForgottenTopic>(),
                    ops: &[
                        Op::Text { nullable: false },
                        Op::Items { nullable: false, item: &Item { min_bytes: 4, size_bytes: 4, ops: &[Op::Skip(4)] } },
                    ],
                },
            },
        ],
    },
    Program {
        first: 11,
        last: 11,
        flexible: false,
        ops: &[
            Op::Skip(25),
            Op::Items {
                nullable: false,
                item: &Item {
                    min_bytes: 6,
                    size_bytes: size_of::<m::fetch_request::FetchTopic>(),
                    ops: &[
                        Op::Text { nullable: false },
                        Op::Items {
                            nullable: false,
                            item: &Item {
                                min_bytes: 28,
                                size_bytes: size_of::<m::fetch_request::FetchPartition>(),
                                ops: &[Op::Skip(28)],
                            },
                        },
                    ],
                },
            },
            Op::Items {
                nullable: false,
                item: &Item {
                    min_bytes: 6,
                    size_bytes: size_of::<m::fetch_request::ForgottenTopic>(),
                    ops: &[
                        Op::Text { nullable: false },
                        Op::Items { nullable: false, item: &Item { min_bytes: 4, size_bytes: 4, ops: &[Op::Skip(4)] } },
                    ],
                },
            },
            Op::Text { nullable: false },
        ],
    },
    Program {
        first: 12,
        last: 12,
        flexible: true,
        ops: &[
            Op::Skip(25),
            Op::Items {
                nullable: false,
                item: &Item {
                    min_bytes: 3,
                    size_bytes: size_of::<m::fetch_request::FetchTopic>(),
                    ops: &[
                        Op::Text { nullable: false },
                        Op::Items {
                            nullable: false,
                            item: &Item {
                                min_bytes: 33,
                                size_bytes: size_of::<m::fetch_request::FetchPartition>(),
                                ops: &[Op::Skip(32), Op::Tags(&[Tag { tag: 0, ops: None }, Tag { tag: 1, ops: None }])],
                            },
                        },
                        Op::Tags(&[]),
                    ],
                },
            },
            Op::Items {
                nullable: false,
                item: &Item {
                    min_bytes: 3,
                    size_bytes: size_of::<m::fetch_request::ForgottenTopic>(),
                    ops: &[
                        Op::Text { nullable: false },
                        Op::Items { nullable: false, item: &Item { min_bytes: 4, size_bytes: 4, ops: &[Op::Skip(4)] } },
                        Op::Tags(&[]),
                    ],
                },
            },
            Op::Text { nullable: false },
            Op::Tags(&[Tag { tag: 0, ops: Some(&[Op::Text { nullable: true }]) }, Tag { tag: 1, ops: None }]),
        ],
    },
    Program {
        first: 13,
        last: 14,
        flexible: true,
        ops: &[
            Op::Skip(25),
            Op::Items {
                nullable: false,
                item: &Item {
                    min_bytes: 18,
                    size_bytes: size_of::<m::fetch_request::FetchTopic>(),
                    ops: &[
                        Op::Skip(16),
                        Op::Items {
                            nullable: false,
                            item: &Item {
                                min_bytes: 33,
                                size_bytes: size_of::<m::fetch_request::FetchPartition>(),
                                ops: &[Op::Skip(32), Op::Tags(&[Tag { tag: 0, ops: None }, Tag { tag: 1, ops: None }])],
                            },
                        },
                        Op::Tags(&[]),
                    ],
                },
            },
            Op::Items {
                nullable: false,
                item: &Item {
                    min_bytes: 18,
                    size_bytes: size_of::<m::fetch_request::ForgottenTopic>(),
                    ops: &[
                        Op::Skip(16),
                        Op::Items { nullable: false, item: &Item { min_bytes: 4, size_bytes: 4, ops: &[Op::Skip(4)] } },
                        Op::Tags(&[]),
                    ],
                },
            },
            Op::Text { nullable: false },
            Op::Tags(&[Tag { tag: 0, ops: Some(&[Op::Text { nullable: true }]) }, Tag { tag: 1, ops: None }]),
        ],
    },
    Program {
        first: 15,
        last: 16,
        flexible: true,
        ops: &[
            Op::Skip(21),
            Op::Items {
                nullable: false,
                item: &Item {
                    min_bytes: 18,
                    size_bytes: size_of::<m::fetch_request::FetchTopic>(),
                    ops: &[
                        Op::Skip(16),
                        Op::Items {
                            nullable: false,
                            item: &Item {
                                min_bytes: 33,
                                size_bytes: size_of::<m::fetch_request::FetchPartition>(),
                                ops: &[Op::Skip(32), Op::Tags(&[Tag { tag: 0, ops: None }, Tag { tag: 1, ops: None }])],
                            },
                        },
                        Op::Tags(&[]),
                    ],
                },
            },
            Op::Items {
                nullable: false,
                item: &Item {
                    min_bytes: 18,
                    size_bytes: size_of::<m::fetch_request::ForgottenTopic>(),
                    ops: &[
                        Op::Skip(16),
                        Op::Items { nullable: false, item: &Item { min_bytes: 4, size_bytes: 4, ops: &[Op::Skip(4)] } },
                        Op::Tags(&[]),
                    ],
                },
            },
            Op::Text { nullable: false },
            Op::Tags(&[
                Tag { tag: 0, ops: Some(&[Op::Text { nullable: true }]) },
                Tag { tag: 1, ops: Some(&[Op::Skip(12), Op::Tags(&[])]) },
            ]),
        ],
    },
    Program {
        first: 17,
        last: 17,
        flexible: true,
        ops: &[
            Op::Skip(21),
            Op::Items {
                nullable: false,
                item: &Item {
                    min_bytes: 18,
                    size_bytes: size_of::<m::fetch_request::FetchTopic>(),
                    ops: &[
                        Op::Skip(16),
                        Op::Items {
                            nullable: false,
                            item: &Item {
                                min_bytes: 33,
                                size_bytes: size_of::<m::fetch_request::FetchPartition>(),
                                ops: &[
                                    Op::Skip(32),
                                    Op::Tags(&[Tag { tag: 0, ops: Some(&[Op::Skip(16)]) }, Tag { tag: 1, ops: None }]),
                                ],
                            },
                        },
                        Op::Tags(&[]),
                    ],
                },
            },
            Op::Items {
                nullable: false,
                item: &Item {
                    min_bytes: 18,
                    size_bytes: size_of::<m::fetch_request::ForgottenTopic>(),
                    ops: &[
                        Op::Skip(16),
                        Op::Items { nullable: false, item: &Item { min_bytes: 4, size_bytes: 4, ops: &[Op::Skip(4)] } },
                        Op::Tags(&[]),
                    ],
                },
            },
            Op::Text { nullable: false },
            Op::Tags(&[
                Tag { tag: 0, ops: Some(&[Op::Text { nullable: true }]) },
                Tag { tag: 1, ops: Some(&[Op::Skip(12), Op::Tags(&[])]) },
            ]),
        ],
    },
    Program {
        first: 18,
        last: 18,
        flexible: true,
        ops: &[
            Op::Skip(21),
            Op::Items {
                nullable: false,
                item: &Item {
                    min_bytes: 18,
                    size_bytes: size_of::<m::fetch_request::FetchTopic>(),
                    ops: &[
                        Op::Skip(16),
                        Op::Items {
                            nullable: false,
                            item: &Item {
                                min_bytes: 33,
                                size_bytes: size_of::<m::fetch_request::FetchPartition>(),
                                ops: &[
                                    Op::Skip(32),
                                    Op::Tags(&[
                                        Tag { tag: 0, ops: Some(&[Op::Skip(16)]) },
                                        Tag { tag: 1, ops: Some(&[Op::Skip(8)]) },
                                    ]),
                                ],
                            },
                        },
                        Op::Tags(&[]),
                    ],
                },
            },
            Op::Items {
                nullable: false,
                item: &Item {
                    min_bytes: 18,
                    size_bytes: size_of::<m::fetch_request::ForgottenTopic>(),
                    ops: &[
                        Op::Skip(16),
                        Op::Items { nullable: false, item: &Item { min_bytes: 4, size_bytes: 4, ops: &[Op::Skip(4)] } },
                        Op::Tags(&[]),
                    ],
                },
            },
            Op::Text { nullable: false },
            Op::Tags(&[
                Tag { tag: 0, ops: Some(&[Op::Text { nullable: true }]) },
                Tag { tag: 1, ops: Some(&[Op::Skip(12), Op::Tags(&[])]) },
            ]),
        ],
    },
];

const LIST_OFFSETS: &[Program] = &[
    Program {
        first: 1,
        last: 1,
        flexible: false,
        ops: &[
            Op::Skip(4),
            Op::Items {
                nullable: false,
                item: &Item {
                    min_bytes: 6,
                    size_bytes: size_of::<m::list_offsets_request::ListOffsetsTopic>(),
                    ops: &[
                        Op::Text { nullable: false },
                        Op::Items {
                            nullable: false,
                            item: &Item {
                                min_bytes: 12,
                                size_bytes: size_of::<m::list_offsets_request::ListOffsetsPartition>(),
                                ops: &[Op::Skip(12)],
                            },
                        },
                    ],
                },
            },
        ],
    },
    Program {
        first: 2,
        last: 3,
        flexible: false,
        ops: &[
            Op::Skip(5),
            Op::Items {
                nullable: false,
                item: &Item {
                    min_bytes: 6,
                    size_bytes: size_of::<m::list_offsets_request::ListOffsetsTopic>(),
                    ops: &[
                        Op::Text { nullable: false },
                        Op::Items {
                            nullable: false,
                            item: &Item {
                                min_bytes: 12,
                                size_bytes: size_of::<m::list_offsets_request::ListOffsetsPartition>(),
                                ops: &[Op::Skip(12)],
                            },
                        },
                    ],
                },
            },
        ],
    },
    Program {
        first: 4,
        last: 5,
        flexible: false,
        ops: &[
            Op::Skip(5),
            Op::Items {
                nullable: false,
                item: &Item {
                    min_bytes: 6,
                    size_bytes: size_of::<m::list_offsets_request::ListOffsetsTopic>(),
                    ops: &[
                        Op::Text { nullable: false },
                        Op::Items {
                            nullable: false,
                            item: &Item {
                                min_bytes: 16,
                                size_bytes: size_of::<m::list_offsets_request::ListOffsetsPartition>(),
                                ops: &[Op::Skip(16)],
                            },
                        },
                    ],
                },
            },
        ],
    },
    Program {
        first: 6,
        last: 9,
        flexible: true,
        ops: &[
            Op::Skip(5),
            Op::Items {
                nullable: false,
                item: &Item {
                    min_bytes: 3,
                    size_bytes: size_of::<m::list_offsets_request::ListOffsetsTopic>(),
                    ops: &[
                        Op::Text { nullable: false },
                        Op::Items {
                            nullable: false,
                            item: &Item {
                                min_bytes: 17,
                                size_bytes: size_of::<m::list_offsets_request::ListOffsetsPartition>(),
                                ops: &[Op::Skip(16), Op::Tags(&[])],
                            },
                        },
                        Op::Tags(&[]),
                    ],
                },
            },
            Op::Tags(&[]),
        ],
    },
    Program {
        first: 10,
        last: 11,
        flexible: true,
        ops: &[
            Op::Skip(5),
            Op::Items {
                nullable: false,
                item: &Item {
                    min_bytes: 3,
                    size_bytes: size_of::<m::list_offsets_request::ListOffsetsTopic>(),
                    ops: &[
                        Op::Text { nullable: false },
                        Op::Items {
                            nullable: false,
                            item: &Item {
                                min_bytes: 17,
                                size_bytes: size_of::<m::list_offsets_request::ListOffsetsPartition>(),
                                ops: &[Op::Skip(16), Op::Tags(&[])],
                            },
                        },
                        Op::Tags(&[]),
                    ],
                },
            },
            Op::Skip(4),
            Op::Tags(&[]),
        ],
    },
];

const METADATA: &[Program] = &[
    Program {
        first: 0,
        last: 0,
        flexible: false,
        ops: &[Op::Items {
            nullable: false,
            item: &Item {
                min_bytes: 2,
                size_bytes: size_of::<m::metadata_request::MetadataRequestTopic>(),
                ops: &[Op::Text { nullable: false }],
            },
        }],
    },
    Program {
        first: 1,
        last: 3,
        flexible: false,
        ops: &[Op::Items {
            nullable: true,
            item: &Item {
                min_bytes: 2,
                size_bytes: size_of::<m::metadata_request::MetadataRequestTopic>(),
                ops: &[Op::Text { nullable: false }],
            },
        }],
    },
    Program {
        first: 4,
        last: 7,
        flexible: false,
        ops: &[
            Op::Items {
                nullable: true,
                item: &Item {
                    min_bytes: 2,
                    size_bytes: size_of::<m::metadata_request::MetadataRequestTopic>(),
                    ops: &[Op::Text { nullable: false }],
                },
            },
            Op::Skip(1),
        ],
    },
    Program {
        first: 8,
        last: 8,
        flexible: false,
        ops: &[
            Op::Items {
                nullable: true,
                item: &Item {
                    min_bytes: 2,
                    size_bytes: size_of::<m::metadata_request::MetadataRequestTopic>(),
                    ops: &[Op::Text { nullable: false }],
                },
            },
            Op::Skip(3),
        ],
    },
    Program {
        first: 9,
        last: 9,
        flexible: true,
        ops: &[
            Op::Items {
                nullable: true,
                item: &Item {
                    min_bytes: 2,
                    size_bytes: size_of::<m::metadata_request::MetadataRequestTopic>(),
                    ops: &[Op::Text { nullable: false }, Op::Tags(&[])],
                },
            },
            Op::Skip(3),
            Op::Tags(&[]),
        ],
    },
    Program {
        first: 10,
        last: 10,
        flexible: true,
        ops: &[
            Op::Items {
                nullable: true,
                item: &Item {
                    min_bytes: 18,
                    size_bytes: size_of::<m::metadata_request::MetadataRequestTopic>(),
                    ops: &[Op::Skip(16), Op::Text { nullable: true }, Op::Tags(&[])],
                },
            },
            Op::Skip(3),
            Op::Tags(&[]),
        ],
    },
    Program {
        first: 11,
        last: 13,
        flexible: true,
        ops: &[
            Op::Items {
                nullable: true,
                item: &Item {
                    min_bytes: 18,
                    size_bytes: size_of::<m::metadata_request::MetadataRequestTopic>(),
                    ops: &[Op::Skip(16), Op::Text { nullable: true }, Op::Tags(&[])],
                },
            },
            Op::Skip(2),
            Op::Tags(&[]),
        ],
    },
];

const OFFSET_COMMIT: &[Program] = &[
    Program {
        first: 2,
        last: 4,
        flexible: false,
        ops: &[
            Op::Text { nullable: false },
            Op::Skip(4),
            Op::Text { nullable: false },
            Op::Skip(8),
            Op::Items {
                nullable: false,
                item: &Item {
                    min_bytes: 6,
                    size_bytes: size_of::<m::offset_commit_request::OffsetCommitRequestTopic>(),
                    ops: &[
                        Op::Text { nullable: false },
                        Op::Items {
                            nullable: false,
                            item: &Item {
                                min_bytes: 14,
                                size_bytes: size_of::<m::offset_commit_request::OffsetCommitRequestPartition>(),
                                ops: &[Op::Skip(12), Op::Text { nullable: true }],
                            },
                        },
                    ],
                },
            },
        ],
    },
    Program {
        first: 5,
        last: 5,
        flexible: false,
        ops: &[
            Op::Text { nullable: false },
            Op::Skip(4),
            Op::Text { nullable: false },
            Op::Items {
                nullable: false,
                item: &Item {
                    min_bytes: 6,
                    size_bytes: size_of::<m::offset_commit_request::OffsetCommitRequestTopic>(),
                    ops: &[
                        Op::Text { nullable: false },
                        Op::Items {
                            nullable: false,
                            item: &Item {
                                min_bytes: 14,
                                size_bytes: size_of::<m::offset_commit_request::OffsetCommitRequestPartition>(),
                                ops: &[Op::Skip(12), Op::Text { nullable: true }],
                            },
                        },
                    ],
                },
            },
        ],
    },
    Program {
        first: 6,
        last: 6,
        flexible: false,
        ops: &[
            Op::Text { nullable: false },
            Op::Skip(4),
            Op::Text { nullable: false },
            Op::Items {
                nullable: false,
                item: &Item {
                    min_bytes: 6,
                    size_bytes: size_of::<m::offset_commit_request::OffsetCommitRequestTopic>(),
                    ops: &[
                        Op::Text { nullable: false },
                        Op::Items {
                            nullable: false,
                            item: &Item {
                                min_bytes: 18,
                                size_bytes: size_of::<m::offset_commit_request::OffsetCommitRequestPartition>(),
                                ops: &[Op::Skip(16), Op::Text { nullable: true }],
                            },
                        },
                    ],
                },
            },
        ],
    },
    Program {
        first: 7,
        last: 7,
        flexible: false,
        ops: &[
            Op::Text { nullable: false },
            Op::Skip(4),
            Op::Text { nullable: false },
            Op::Text { nullable: true },
            Op::Items {
                nullable: false,
                item: &Item {
                    min_bytes: 6,
                    size_bytes: size_of::<m::offset_commit_request::OffsetCommitRequestTopic>(),
                    ops: &[
                        Op::Text { nullable: false },
                        Op::Items {
                            nullable: false,
                            item: &Item {
                                min_bytes: 18,
                                size_bytes: size_of::<m::offset_commit_request::OffsetCommitRequestPartition>(),
                                ops: &[Op::Skip(16), Op::Text { nullable: true }],
                            },
                        },
                    ],
                },
            },
        ],
    },
    Program {
        first: 8,
        last: 9,
        flexible: true,
        ops: &[
            Op::Text { nullable: false },
            Op::Skip(4),
            Op::Text { nullable: false },
            Op::Text { nullable: true },
            Op::Items {
                nullable: false,
                item: &Item {
                    min_bytes: 3,
                    size_bytes: size_of::<m::offset_commit_request::OffsetCommitRequestTopic>(),
                    ops: &[
                        Op::Text { nullable: false },
                        Op::Items {
                            nullable: false,
                            item: &Item {
                                min_bytes: 18,
                                size_bytes: size_of::<m::offset_commit_request::OffsetCommitRequestPartition>(),
                                ops: &[Op::Skip(16), Op::Text { nullable: true }, Op::Tags(&[])],
                            },
                        },
                        Op::Tags(&[]),
                    ],
                },
            },
            Op::Tags(&[]),
        ],
    },
    Program {
        first: 10,
        last: 10,
        flexible: true,
        ops: &[
            Op::Text { nullable: false },
            Op::Skip(4),
            Op::Text { nullable: false },
            Op::Text { nullable: true },
            Op::Items {
                nullable: false,
                item: &Item {
                    min_bytes: 18,
                    size_bytes: size_of::<m::offset_commit_request::OffsetCommitRequestTopic>(),
                    ops: &[
                        Op::Skip(16),
                        Op::Items {
                            nullable: false,
                            item: &Item {
                                min_bytes: 18,
                                size_bytes: size_of::<m::offset_commit_request::OffsetCommitRequestPartition>(),
                                ops: &[Op::Skip(16), Op::Text { nullable: true }, Op::Tags(&[])],
                            },
                        },
                        Op::Tags(&[]),
                    ],
                },
            },
            Op::Tags(&[]),
        ],
    },
];

const OFFSET_FETCH: &[Program] = &[
    Program {
        first: 1,
        last: 1,
        flexible: false,
        ops: &[
            Op::Text { nullable: false },
            Op::Items {
                nullable: false,
                item: &Item {
                    min_bytes: 6,
                    size_bytes: size_of::<m::offset_fetch_request::OffsetFetchRequestTopic>(),
                    ops: &[
                        Op::Text { nullable: false },
                        Op::Items { nullable: false, item: &Item { min_bytes: 4, size_bytes: 4, ops: &[Op::Skip(4)] } },
                    ],
                },
            },
        ],
    },
    Program {
        first: 2,
        last: 5,
        flexible: false,
        ops: &[
            Op::Text { nullable: false },
            Op::Items {
                nullable: true,
                item: &Item {
                    min_bytes: 6,
                    size_bytes: size_of::<m::offset_fetch_request::OffsetFetchRequestTopic>(),
                    ops: &[
                        Op::Text { nullable: false },
                        Op::Items { nullable: false, item: &Item { min_bytes: 4, size_bytes: 4, ops: &[Op::Skip(4)] } },
                    ],
                },
            },
        ],
    },
    Program {
        first: 6,
        last: 6,
        flexible: true,
        ops: &[
            Op::Text { nullable: false },
            Op::Items {
                nullable: true,
                item: &Item {
                    min_bytes: 3,
                    size_bytes: size_of::<m::offset_fetch_request::OffsetFetchRequestTopic>(),
                    ops: &[
                        Op::Text { nullable: false },
                        Op::Items { nullable: false, item: &Item { min_bytes: 4, size_bytes: 4, ops: &[Op::Skip(4)] } },
                        Op::Tags(&[]),
                    ],
                },
            },
            Op::Tags(&[]),
        ],
    },
    Program {
        first: 7,
        last: 7,
        flexible: true,
        ops: &[
            Op::Text { nullable: false },
            Op::Items {
                nullable: true,
                item: &Item {
                    min_bytes: 3,
                    size_bytes: size_of::<m::offset_fetch_request::OffsetFetchRequestTopic>(),
                    ops: &[
                        Op::Text { nullable: false },
                        Op::Items { nullable: false, item: &Item { min_bytes: 4, size_bytes: 4, ops: &[Op::Skip(4)] } },
                        Op::Tags(&[]),
                    ],
                },
            },
            Op::Skip(1),
            Op::Tags(&[]),
        ],
    },
    Program {
        first: 8,
        last: 8,
        flexible: true,
        ops: &[
            Op::Items {
                nullable: false,
                item: &Item {
                    min_bytes: 3,
                    size_bytes: size_of::<m::offset_fetch_request::OffsetFetchRequestGroup>(),
                    ops: &[
                        Op::Text { nullable: false },
                        Op::Items {
                            nullable: true,
                            item: &Item {
                                min_bytes: 3,
                                size_bytes: size_of::<m::offset_fetch_request::OffsetFetchRequestTopics>(),
                                ops: &[
                                    Op::Text { nullable: false },
                                    Op::Items {
                                        nullable: false,
                                        item: &Item { min_bytes: 4, size_bytes: 4, ops: &[Op::Skip(4)] },
                                    },
                                    Op::Tags(&[]),
                                ],
                            },
                        },
                        Op::Tags(&[]),
                    ],
                },
            },
            Op::Skip(1),
            Op::Tags(&[]),
        ],
    },
    Program {
        first: 9,
        last: 9,
        flexible: true,
        ops: &[
            Op::Items {
                nullable: false,
                item: &Item {
                    min_bytes: 8,
                    size_bytes: size_of::<m::offset_fetch_request::OffsetFetchRequestGroup>(),
                    ops: &[
                        Op::Text { nullable: false },
                        Op::Text { nullable: true },
                        Op::Skip(4),
                        Op::Items {
                            nullable: true,
                            item: &Item {
                                min_bytes: 3,
                                size_bytes: size_of::<m::offset_fetch_request::OffsetFetchRequestTopics>(),
                                ops: &[
                                    Op::Text { nullable: false },
                                    Op::Items {
                                        nullable: false,
                                        item: &Item { min_bytes: 4, size_bytes: 4, ops: &[Op::Skip(4)] },
                                    },
                                    Op::Tags(&[]),
                                ],
                            },
                        },
                        Op::Tags(&[]),
                    ],
                },
            },
            Op::Skip(1),
            Op::Tags(&[]),
        ],
    },
    Program {
        first: 10,
        last: 10,
        flexible: true,
        ops: &[
            Op::Items {
                nullable: false,
                item: &Item {
                    min_bytes: 8,
                    size_bytes: size_of::<m::offset_fetch_request::OffsetFetchRequestGroup>(),
                    ops: &[
                        Op::Text { nullable: false },
                        Op::Text { nullable: true },
                        Op::Skip(4),
                        Op::Items {
                            nullable: true,
                            item: &Item {
                                min_bytes: 18,
                                size_bytes: size_of::<m::offset_fetch_request::OffsetFetchRequestTopics>(),
                                ops: &[
                                    Op::Skip(16),
                                    Op::Items {
                                        nullable: false,
                                        item: &Item { min_bytes: 4, size_bytes: 4, ops: &[Op::Skip(4)] },
                                    },
                                    Op::Tags(&[]),
                                ],
                            },
                        },
                        Op::Tags(&[]),
                    ],
                },
            },
            Op::Skip(1),
            Op::Tags(&[]),
        ],
    },
];

const FIND_COORDINATOR: &[Program] = &[
    Program { first: 0, last: 0, flexible: false, ops: &[Op::Text { nullable: false }] },
    Program { first: 1, last: 2, flexible: false, ops: &[Op::Text { nullable: false }, Op::Skip(1)] },
    Program { first: 3, last: 3, flexible: true, ops: &[Op::Text { nullable: false }, Op::Skip(1), Op::Tags(&[])] },
    Program {
        first: 4,
        last: 6,
        flexible: true,
        ops: &[
            Op::Skip(1),
            Op::Items {
                nullable: false,
                item: &Item { min_bytes: 1, size_bytes: STRING_BYTES, ops: &[Op::Text { nullable: false }] },
            },
            Op::Tags(&[]),
        ],
    },
];

const JOIN_GROUP: &[Program] = &[
    Program {
        first: 0,
        last: 0,
        flexible: false,
        ops: &[
            Op::Text { nullable: false },
            Op::Skip(4),
            Op::Text { nullable: false },
            Op::Text { nullable: false },
            Op::Items {
                nullable: false,
                item: &Item {
                    min_bytes: 6,
                    size_bytes: size_of::<m::join_group_request::JoinGroupRequestProtocol>(),
                    ops: &[Op::Text { nullable: false }, Op::Bytes { nullable: false }],
                },
            },
        ],
    },
    Program {
        first: 1,
        last: 4,
        flexible: false,
        ops: &[
            Op::Text { nullable: false },
            Op::Skip(8),
            Op::Text { nullable: false },
            Op::Text { nullable: false },
            Op::Items {
                nullable: false,
                item: &Item {
                    min_bytes: 6,
                    size_bytes: size_of::<m::join_group_request::JoinGroupRequestProtocol>(),
                    ops: &[Op::Text { nullable: false }, Op::Bytes { nullable: false }],
                },
            },
        ],
    },
    Program {
        first: 5,
        last: 5,
        flexible: false,
        ops: &[
            Op::Text { nullable: false },
            Op::Skip(8),
            Op::Text { nullable: false },
            Op::Text { nullable: true },
            Op::Text { nullable: false },
            Op::Items {
                nullable: false,
                item: &Item {
                    min_bytes: 6,
                    size_bytes: size_of::<m::join_group_request::JoinGroupRequestProtocol>(),
                    ops: &[Op::Text { nullable: false }, Op::Bytes { nullable: false }],
                },
            },
        ],
    },
    Program {
        first: 6,
        last: 7,
        flexible: true,
        ops: &[
            Op::Text { nullable: false },
            Op::Skip(8),
            Op::Text { nullable: false },
            Op::Text { nullable: true },
            Op::Text { nullable: false },
            Op::Items {
                nullable: false,
                item: &Item {
                    min_bytes: 3,
                    size_bytes: size_of::<m::join_group_request::JoinGroupRequestProtocol>(),
                    ops: &[Op::Text { nullable: false }, Op::Bytes { nullable: false }, Op::Tags(&[])],
                },
            },
            Op::Tags(&[]),
        ],
    },
    Program {
        first: 8,
        last: 9,
        flexible: true,
        ops: &[
            Op::Text { nullable: false },
            Op::Skip(8),
            Op::Text { nullable: false },
            Op::Text { nullable: true },
            Op::Text { nullable: false },
            Op::Items {
                nullable: false,
                item: &Item {
                    min_bytes: 3,
                    size_bytes: size_of::<m::join_group_request::JoinGroupRequestProtocol>(),
                    ops: &[Op::Text { nullable: false }, Op::Bytes { nullable: false }, Op::Tags(&[])],
                },
            },
            Op::Text { nullable: true },
            Op::Tags(&[]),
        ],
    },
];

const HEARTBEAT: &[Program] = &[
    Program {
        first: 0,
        last: 2,
        flexible: false,
        ops: &[Op::Text { nullable: false }, Op::Skip(4), Op::Text { nullable: false }],
    },
    Program {
        first: 3,
        last: 3,
        flexible: false,
        ops: &[Op::Text { nullable: false }, Op::Skip(4), Op::Text { nullable: false }, Op::Text { nullable: true }],
    },
    Program {
        first: 4,
        last: 4,
        flexible: true,
        ops: &[
            Op::Text { nullable: false },
            Op::Skip(4),
            Op::Text { nullable: false },
            Op::Text { nullable: true },
            Op::Tags(&[]),
        ],
    },
];

const LEAVE_GROUP: &[Program] = &[
    Program { first: 0, last: 2, flexible: false, ops: &[Op::Text { nullable: false }, Op::Text { nullable: false }] },
    Program {
        first: 3,
        last: 3,
        flexible: false,
        ops: &[
            Op::Text { nullable: false },
            Op::Items {
                nullable: false,
                item: &Item {
                    min_bytes: 4,
                    size_bytes: size_of::<m::leave_group_request::MemberIdentity>(),
                    ops: &[Op::Text { nullable: false }, Op::Text { nullable: true }],
                },
            },
        ],
    },
    Program {
        first: 4,
        last: 4,
        flexible: true,
        ops: &[
            Op::Text { nullable: false },
            Op::Items {
                nullable: false,
                item: &Item {
                    min_bytes: 3,
                    size_bytes: size_of::<m::leave_group_request::MemberIdentity>(),
                    ops: &[Op::Text { nullable: false }, Op::Text { nullable: true }, Op::Tags(&[])],
                },
            },
            Op::Tags(&[]),
        ],
    },
    Program {
        first: 5,
        last: 5,
        flexible: true,
        ops: &[
            Op::Text { nullable: false },
            Op::Items {
                nullable: false,
                item: &Item {
                    min_bytes: 4,
                    size_bytes: size_of::<m::leave_group_request::MemberIdentity>(),
                    ops: &[
                        Op::Text { nullable: false },
                        Op::Text { nullable: true },
                        Op::Text { nullable: true },
                        Op::Tags(&[]),
                    ],
                },
            },
            Op::Tags(&[]),
        ],
    },
];

const SYNC_GROUP: &[Program] = &[
    Program {
        first: 0,
        last: 2,
        flexible: false,
        ops: &[
            Op::Text { nullable: false },
            Op::Skip(4),
            Op::Text { nullable: false },
            Op::Items {
                nullable: false,
                item: &Item {
                    min_bytes: 6,
                    size_bytes: size_of::<m::sync_group_request::SyncGroupRequestAssignment>(),
                    ops: &[Op::Text { nullable: false }, Op::Bytes { nullable: false }],
                },
            },
        ],
    },
    Program {
        first: 3,
        last: 3,
        flexible: false,
        ops: &[
            Op::Text { nullable: false },
            Op::Skip(4),
            Op::Text { nullable: false },
            Op::Text { nullable: true },
            Op::Items {
                nullable: false,
                item: &Item {
                    min_bytes: 6,
                    size_bytes: size_of::<m::sync_group_request::SyncGroupRequestAssignment>(),
                    ops: &[Op::Text { nullable: false }, Op::Bytes { nullable: false }],
                },
            },
        ],
    },
    Program {
        first: 4,
        last: 4,
        flexible: true,
        ops: &[
            Op::Text { nullable: false },
            Op::Skip(4),
            Op::Text { nullable: false },
            Op::Text { nullable: true },
            Op::Items {
                nullable: false,
                item: &Item {
                    min_bytes: 3,
                    size_bytes: size_of::<m::sync_group_request::SyncGroupRequestAssignment>(),
                    ops: &[Op::Text { nullable: false }, Op::Bytes { nullable: false }, Op::Tags(&[])],
                },
            },
            Op::Tags(&[]),
        ],
    },
    Program {
        first: 5,
        last: 5,
        flexible: true,
        ops: &[
            Op::Text { nullable: false },
            Op::Skip(4),
            Op::Text { nullable: false },
            Op::Text { nullable: true },
            Op::Text { nullable: true },
            Op::Text { nullable: true },
            Op::Items {
                nullable: false,
                item: &Item {
                    min_bytes: 3,
                    size_bytes: size_of::<m::sync_group_request::SyncGroupRequestAssignment>(),
                    ops: &[Op::Text { nullable: false }, Op::Bytes { nullable: false }, Op::Tags(&[])],
                },
            },
            Op::Tags(&[]),
        ],
    },
];

const DESCRIBE_GROUPS: &[Program] = &[
    Program {
        first: 0,
        last: 2,
        flexible: false,
        ops: &[Op::Items {
            nullable: false,
            item: &Item { min_bytes: 2, size_bytes: STRING_BYTES, ops: &[Op::Text { nullable: false }] },
        }],
    },
    Program {
        first: 3,
        last: 4,
        flexible: false,
        ops: &[
            Op::Items {
                nullable: false,
                item: &Item { min_bytes: 2, size_bytes: STRING_BYTES, ops: &[Op::Text { nullable: false }] },
            },
            Op::Skip(1),
        ],
    },
    Program {
        first: 5,
        last: 6,
        flexible: true,
        ops: &[
            Op::Items {
                nullable: false,
                item: &Item { min_bytes: 1, size_bytes: STRING_BYTES, ops: &[Op::Text { nullable: false }] },
            },
            Op::Skip(1),
            Op::Tags(&[]),
        ],
    },
];

const LIST_GROUPS: &[Program] = &[
    Program { first: 0, last: 2, flexible: false, ops: &[] },
    Program { first: 3, last: 3, flexible: true, ops: &[Op::Tags(&[])] },
    Program {
        first: 4,
        last: 4,
        flexible: true,
        ops: &[
            Op::Items {
                nullable: false,
                item: &Item { min_bytes: 1, size_bytes: STRING_BYTES, ops: &[Op::Text { nullable: false }] },
            },
            Op::Tags(&[]),
        ],
    },
    Program {
        first: 5,
        last: 5,
        flexible: true,
        ops: &[
            Op::Items {
                nullable: false,
                item: &Item { min_bytes: 1, size_bytes: STRING_BYTES, ops: &[Op::Text { nullable: false }] },
            },
            Op::Items {
                nullable: false,
                item: &Item { min_bytes: 1, size_bytes: STRING_BYTES, ops: &[Op::Text { nullable: false }] },
            },
            Op::Tags(&[]),
        ],
    },
];

const SASL_HANDSHAKE: &[Program] =
    &[Program { first: 0, last: 1, flexible: false, ops: &[Op::Text { nullable: false }] }];

const API_VERSIONS: &[Program] = &[
    Program { first: 0, last: 2, flexible: false, ops: &[] },
    Program {
        first: 3,
        last: 4,
        flexible: true,
        ops: &[Op::Text { nullable: false }, Op::Text { nullable: false }, Op::Tags(&[])],
    },
];

const CREATE_TOPICS: &[Program] = &[
    Program {
        first: 2,
        last: 4,
        flexible: false,
        ops: &[
            Op::Items {
                nullable: false,
                item: &Item {
                    min_bytes: 16,
                    size_bytes: size_of::<m::create_topics_request::CreatableTopic>(),
                    ops: &[
                        Op::Text { nullable: false },
                        Op::Skip(6),
                        Op::Items {
                            nullable: false,
                            item: &Item {
                                min_bytes: 8,
                                size_bytes: size_of::<m::create_topics_request::CreatableReplicaAssignment>(),
                                ops: &[
                                    Op::Skip(4),
                                    Op::Items {
                                        nullable: false,
                                        item: &Item { min_bytes: 4, size_bytes: 4, ops: &[Op::Skip(4)] },
                                    },
                                ],
                            },
                        },
                        Op::Items {
                            nullable: false,
                            item: &Item {
                                min_bytes: 4,
                                size_bytes: size_of::<m::create_topics_request::CreatableTopicConfig>(),
                                ops: &[Op::Text { nullable: false }, Op::Text { nullable: true }],
                            },
                        },
                    ],
                },
            },
            Op::Skip(5),
        ],
    },
    Program {
        first: 5,
        last: 7,
        flexible: true,
        ops: &[
            Op::Items {
                nullable: false,
                item: &Item {
                    min_bytes: 10,
                    size_bytes: size_of::<m::create_topics_request::CreatableTopic>(),
                    ops: &[
                        Op::Text { nullable: false },
                        Op::Skip(6),
                        Op::Items {
                            nullable: false,
                            item: &Item {
                                min_bytes: 6,
                                size_bytes: size_of::<m::create_topics_request::CreatableReplicaAssignment>(),
                                ops: &[
                                    Op::Skip(4),
                                    Op::Items {
                                        nullable: false,
                                        item: &Item { min_bytes: 4, size_bytes: 4, ops: &[Op::Skip(4)] },
                                    },
                                    Op::Tags(&[]),
                                ],
                            },
                        },
                        Op::Items {
                            nullable: false,
                            item: &Item {
                                min_bytes: 3,
                                size_bytes: size_of::<m::create_topics_request::CreatableTopicConfig>(),
                                ops: &[Op::Text { nullable: false }, Op::Text { nullable: true }, Op::Tags(&[])],
                            },
                        },
                        Op::Tags(&[]),
                    ],
                },
            },
            Op::Skip(5),
            Op::Tags(&[]),
        ],
    },
];

const DELETE_TOPICS: &[Program] = &[
    Program {
        first: 1,
        last: 3,
        flexible: false,
        ops: &[
            Op::Items {
                nullable: false,
                item: &Item { min_bytes: 2, size_bytes: STRING_BYTES, ops: &[Op::Text { nullable: false }] },
            },
            Op::Skip(4),
        ],
    },
    Program {
        first: 4,
        last: 5,
        flexible: true,
        ops: &[
            Op::Items {
                nullable: false,
                item: &Item { min_bytes: 1, size_bytes: STRING_BYTES, ops: &[Op::Text { nullable: false }] },
            },
            Op::Skip(4),
            Op::Tags(&[]),
        ],
    },
    Program {
        first: 6,
        last: 6,
        flexible: true,
        ops: &[
            Op::Items {
                nullable: false,
                item: &Item {
                    min_bytes: 18,
                    size_bytes: size_of::<m::delete_topics_request::DeleteTopicState>(),
                    ops: &[Op::Text { nullable: true }, Op::Skip(16), Op::Tags(&[])],
                },
            },
            Op::Skip(4),
            Op::Tags(&[]),
        ],
    },
];

const DELETE_RECORDS: &[Program] = &[
    Program {
        first: 0,
        last: 1,
        flexible: false,
        ops: &[
            Op::Items {
                nullable: false,
                item: &Item {
                    min_bytes: 6,
                    size_bytes: size_of::<m::delete_records_request::DeleteRecordsTopic>(),
                    ops: &[
                        Op::Text { nullable: false },
                        Op::Items {
                            nullable: false,
                            item: &Item {
                                min_bytes: 12,
                                size_bytes: size_of::<m::delete_records_request::DeleteRecordsPartition>(),
                                ops: &[Op::Skip(12)],
                            },
                        },
                    ],
                },
            },
            Op::Skip(4),
        ],
    },
    Program {
        first: 2,
        last: 2,
        flexible: true,
        ops: &[
            Op::Items {
                nullable: false,
                item: &Item {
                    min_bytes: 3,
                    size_bytes: size_of::<m::delete_records_request::DeleteRecordsTopic>(),
                    ops: &[
                        Op::Text { nullable: false },
                        Op::Items {
                            nullable: false,
                            item: &Item {
                                min_bytes: 13,
                                size_bytes: size_of::<m::delete_records_request::DeleteRecordsPartition>(),
                                ops: &[Op::Skip(12), Op::Tags(&[])],
                            },
                        },
                        Op::Tags(&[]),
                    ],
                },
            },
            Op::Skip(4),
            Op::Tags(&[]),
        ],
    },
];

const INIT_PRODUCER_ID: &[Program] = &[
    Program { first: 0, last: 1, flexible: false, ops: &[Op::Text { nullable: true }, Op::Skip(4)] },
    Program { first: 2, last: 2, flexible: true, ops: &[Op::Text { nullable: true }, Op::Skip(4), Op::Tags(&[])] },
    Program { first: 3, last: 5, flexible: true, ops: &[Op::Text { nullable: true }, Op::Skip(14), Op::Tags(&[])] },
];

const OFFSET_FOR_LEADER_EPOCH: &[Program] = &[
    Program {
        first: 2,
        last: 2,
        flexible: false,
        ops: &[Op::Items {
            nullable: false,
            item: &Item {
                min_bytes: 6,
                size_bytes: size_of::<m::offset_for_leader_epoch_request::OffsetForLeaderTopic>(),
                ops: &[
                    Op::Text { nullable: false },
                    Op::Items {
                        nullable: false,
                        item: &Item {
                            min_bytes: 12,
                            size_bytes: size_of::<m::offset_for_leader_epoch_request::OffsetForLeaderPartition>(),
                            ops: &[Op::Skip(12)],
                        },
                    },
                ],
            },
        }],
    },
    Program {
        first: 3,
        last: 3,
        flexible: false,
        ops: &[
            Op::Skip(4),
            Op::Items {
                nullable: false,
                item: &Item {
                    min_bytes: 6,
                    size_bytes: size_of::<m::offset_for_leader_epoch_request::OffsetForLeaderTopic>(),
                    ops: &[
                        Op::Text { nullable: false },
                        Op::Items {
                            nullable: false,
                            item: &Item {
                                min_bytes: 12,
                                size_bytes: size_of::<m::offset_for_leader_epoch_request::OffsetForLeaderPartition>(),
                                ops: &[Op::Skip(12)],
                            },
                        },
                    ],
                },
            },
        ],
    },
    Program {
        first: 4,
        last: 4,
        flexible: true,
        ops: &[
            Op::Skip(4),
            Op::Items {
                nullable: false,
                item: &Item {
                    min_bytes: 3,
                    size_bytes: size_of::<m::offset_for_leader_epoch_request::OffsetForLeaderTopic>(),
                    ops: &[
                        Op::Text { nullable: false },
                        Op::Items {
                            nullable: false,
                            item: &Item {
                                min_bytes: 13,
                                size_bytes: size_of::<m::offset_for_leader_epoch_request::OffsetForLeaderPartition>(),
                                ops: &[Op::Skip(12), Op::Tags(&[])],
                            },
                        },
                        Op::Tags(&[]),
                    ],
                },
            },
            Op::Tags(&[]),
        ],
    },
];

const ADD_PARTITIONS_TO_TXN: &[Program] = &[
    Program {
        first: 0,
        last: 2,
        flexible: false,
        ops: &[
            Op::Text { nullable: false },
            Op::Skip(10),
            Op::Items {
                nullable: false,
                item: &Item {
                    min_bytes: 6,
                    size_bytes: size_of::<m::add_partitions_to_txn_request::AddPartitionsToTxnTopic>(),
                    ops: &[
                        Op::Text { nullable: false },
                        Op::Items { nullable: false, item: &Item { min_bytes: 4, size_bytes: 4, ops: &[Op::Skip(4)] } },
                    ],
                },
            },
        ],
    },
    Program {
        first: 3,
        last: 3,
        flexible: true,
        ops: &[
            Op::Text { nullable: false },
            Op::Skip(10),
            Op::Items {
                nullable: false,
                item: &Item {
                    min_bytes: 3,
                    size_bytes: size_of::<m::add_partitions_to_txn_request::AddPartitionsToTxnTopic>(),
                    ops: &[
                        Op::Text { nullable: false },
                        Op::Items { nullable: false, item: &Item { min_bytes: 4, size_bytes: 4, ops: &[Op::Skip(4)] } },
                        Op::Tags(&[]),
                    ],
                },
            },
            Op::Tags(&[]),
        ],
    },
    Program {
        first: 4,
        last: 5,
        flexible: true,
        ops: &[
            Op::Items {
                nullable: false,
                item: &Item {
                    min_bytes: 14,
                    size_bytes: size_of::<m::add_partitions_to_txn_request::AddPartitionsToTxnTransaction>(),
                    ops: &[
                        Op::Text { nullable: false },
                        Op::Skip(11),
                        Op::Items {
                            nullable: false,
                            item: &Item {
                                min_bytes: 3,
                                size_bytes: size_of::<m::add_partitions_to_txn_request::AddPartitionsToTxnTopic>(),
                                ops: &[
                                    Op::Text { nullable: false },
                                    Op::Items {
                                        nullable: false,
                                        item: &Item { min_bytes: 4, size_bytes: 4, ops: &[Op::Skip(4)] },
                                    },
                                    Op::Tags(&[]),
                                ],
                            },
                        },
                        Op::Tags(&[]),
                    ],
                },
            },
            Op::Tags(&[]),
        ],
    },
];

const ADD_OFFSETS_TO_TXN: &[Program] = &[
    Program {
        first: 0,
        last: 2,
        flexible: false,
        ops: &[Op::Text { nullable: false }, Op::Skip(10), Op::Text { nullable: false }],
    },
    Program {
        first: 3,
        last: 4,
        flexible: true,
        ops: &[Op::Text { nullable: false }, Op::Skip(10), Op::Text { nullable: false }, Op::Tags(&[])],
    },
];

const END_TXN: &[Program] = &[
    Program { first: 0, last: 2, flexible: false, ops: &[Op::Text { nullable: false }, Op::Skip(11)] },
    Program { first: 3, last: 5, flexible: true, ops: &[Op::Text { nullable: false }, Op::Skip(11), Op::Tags(&[])] },
];

const WRITE_TXN_MARKERS: &[Program] = &[
    Program {
        first: 1,
        last: 1,
        flexible: true,
        ops: &[
            Op::Items {
                nullable: false,
                item: &Item {
                    min_bytes: 17,
                    size_bytes: size_of::<m::write_txn_markers_request::WritableTxnMarker>(),
                    ops: &[
                        Op::Skip(11),
                        Op::Items {
                            nullable: false,
                            item: &Item {
                                min_bytes: 3,
                                size_bytes: size_of::<m::write_txn_markers_request::WritableTxnMarkerTopic>(),
                                ops: &[
                                    Op::Text { nullable: false },
                                    Op::Items {
                                        nullable: false,
                                        item: &Item { min_bytes: 4, size_bytes: 4, ops: &[Op::Skip(4)] },
                                    },
                                    Op::Tags(&[]),
                                ],
                            },
                        },
                        Op::Skip(4),
                        Op::Tags(&[]),
                    ],
                },
            },
            Op::Tags(&[]),
        ],
    },
    Program {
        first: 2,
        last: 2,
        flexible: true,
        ops: &[
            Op::Items {
                nullable: false,
                item: &Item {
                    min_bytes: 18,
                    size_bytes: size_of::<m::write_txn_markers_request::WritableTxnMarker>(),
                    ops: &[
                        Op::Skip(11),
                        Op::Items {
                            nullable: false,
                            item: &Item {
                                min_bytes: 3,
                                size_bytes: size_of::<m::write_txn_markers_request::WritableTxnMarkerTopic>(),
                                ops: &[
                                    Op::Text { nullable: false },
                                    Op::Items {
                                        nullable: false,
                                        item: &Item { min_bytes: 4, size_bytes: 4, ops: &[Op::Skip(4)] },
                                    },
                                    Op::Tags(&[]),
                                ],
                            },
                        },
                        Op::Skip(5),
                        Op::Tags(&[]),
                    ],
                },
            },
            Op::Tags(&[]),
        ],
    },
];

const TXN_OFFSET_COMMIT: &[Program] = &[
    Program {
        first: 0,
        last: 1,
        flexible: false,
        ops: &[
            Op::Text { nullable: false },
            Op::Text { nullable: false },
            Op::Skip(10),
            Op::Items {
                nullable: false,
                item: &Item {
                    min_bytes: 6,
                    size_bytes: size_of::<m::txn_offset_commit_request::TxnOffsetCommitRequestTopic>(),
                    ops: &[
                        Op::Text { nullable: false },
                        Op::Items {
                            nullable: false,
                            item: &Item {
                                min_bytes: 14,
                                size_bytes: size_of::<m::txn_offset_commit_request::TxnOffsetCommitRequestPartition>(),
                                ops: &[Op::Skip(12), Op::Text { nullable: true }],
                            },
                        },
                    ],
                },
            },
        ],
    },
    Program {
        first: 2,
        last: 2,
        flexible: false,
        ops: &[
            Op::Text { nullable: false },
            Op::Text { nullable: false },
            Op::Skip(10),
            Op::Items {
                nullable: false,
                item: &Item {
                    min_bytes: 6,
                    size_bytes: size_of::<m::txn_offset_commit_request::TxnOffsetCommitRequestTopic>(),
                    ops: &[
                        Op::Text { nullable: false },
                        Op::Items {
                            nullable: false,
                            item: &Item {
                                min_bytes: 18,
                                size_bytes: size_of::<m::txn_offset_commit_request::TxnOffsetCommitRequestPartition>(),
                                ops: &[Op::Skip(16), Op::Text { nullable: true }],
                            },
                        },
                    ],
                },
            },
        ],
    },
    Program {
        first: 3,
        last: 5,
        flexible: true,
        ops: &[
            Op::Text { nullable: false },
            Op::Text { nullable: false },
            Op::Skip(14),
            Op::Text { nullable: false },
            Op::Text { nullable: true },
            Op::Items {
                nullable: false,
                item: &Item {
                    min_bytes: 3,
                    size_bytes: size_of::<m::txn_offset_commit_request::TxnOffsetCommitRequestTopic>(),
                    ops: &[
                        Op::Text { nullable: false },
                        Op::Items {
                            nullable: false,
                            item: &Item {
                                min_bytes: 18,
                                size_bytes: size_of::<m::txn_offset_commit_request::TxnOffsetCommitRequestPartition>(),
                                ops: &[Op::Skip(16), Op::Text { nullable: true }, Op::Tags(&[])],
                            },
                        },
                        Op::Tags(&[]),
                    ],
                },
            },
            Op::Tags(&[]),
        ],
    },
];

const DESCRIBE_ACLS: &[Program] = &[
    Program {
        first: 1,
        last: 1,
        flexible: false,
        ops: &[
            Op::Skip(1),
            Op::Text { nullable: true },
            Op::Skip(1),
            Op::Text { nullable: true },
            Op::Text { nullable: true },
            Op::Skip(2),
        ],
    },
    Program {
        first: 2,
        last: 3,
        flexible: true,
        ops: &[
            Op::Skip(1),
            Op::Text { nullable: true },
            Op::Skip(1),
            Op::Text { nullable: true },
            Op::Text { nullable: true },
            Op::Skip(2),
            Op::Tags(&[]),
        ],
    },
];

const CREATE_ACLS: &[Program] = &[
    Program {
        first: 1,
        last: 1,
        flexible: false,
        ops: &[Op::Items {
            nullable: false,
            item: &Item {
                min_bytes: 10,
                size_bytes: size_of::<m::create_acls_request::AclCreation>(),
                ops: &[
                    Op::Skip(1),
                    Op::Text { nullable: false },
                    Op::Skip(1),
                    Op::Text { nullable: false },
                    Op::Text { nullable: false },
                    Op::Skip(2),
                ],
            },
        }],
    },
    Program {
        first: 2,
        last: 3,
        flexible: true,
        ops: &[
            Op::Items {
                nullable: false,
                item: &Item {
                    min_bytes: 8,
                    size_bytes: size_of::<m::create_acls_request::AclCreation>(),
                    ops: &[
                        Op::Skip(1),
                        Op::Text { nullable: false },
                        Op::Skip(1),
                        Op::Text { nullable: false },
                        Op::Text { nullable: false },
                        Op::Skip(2),
                        Op::Tags(&[]),
                    ],
                },
            },
            Op::Tags(&[]),
        ],
    },
];

const DELETE_ACLS: &[Program] = &[
    Program {
        first: 1,
        last: 1,
        flexible: false,
        ops: &[Op::Items {
            nullable: false,
            item: &Item {
                min_bytes: 10,
                size_bytes: size_of::<m::delete_acls_request::DeleteAclsFilter>(),
                ops: &[
                    Op::Skip(1),
                    Op::Text { nullable: true },
                    Op::Skip(1),
                    Op::Text { nullable: true },
                    Op::Text { nullable: true },
                    Op::Skip(2),
                ],
            },
        }],
    },
    Program {
        first: 2,
        last: 3,
        flexible: true,
        ops: &[
            Op::Items {
                nullable: false,
                item: &Item {
                    min_bytes: 8,
                    size_bytes: size_of::<m::delete_acls_request::DeleteAclsFilter>(),
                    ops: &[
                        Op::Skip(1),
                        Op::Text { nullable: true },
                        Op::Skip(1),
                        Op::Text { nullable: true },
                        Op::Text { nullable: true },
                        Op::Skip(2),
                        Op::Tags(&[]),
                    ],
                },
            },
            Op::Tags(&[]),
        ],
    },
];

const DESCRIBE_CONFIGS: &[Program] = &[
    Program {
        first: 1,
        last: 2,
        flexible: false,
        ops: &[
            Op::Items {
                nullable: false,
                item: &Item {
                    min_bytes: 7,
                    size_bytes: size_of::<m::describe_configs_request::DescribeConfigsResource>(),
                    ops: &[
                        Op::Skip(1),
                        Op::Text { nullable: false },
                        Op::Items {
                            nullable: true,
                            item: &Item {
                                min_bytes: 2,
                                size_bytes: STRING_BYTES,
                                ops: &[Op::Text { nullable: false }],
                            },
                        },
                    ],
                },
            },
            Op::Skip(1),
        ],
    },
    Program {
        first: 3,
        last: 3,
        flexible: false,
        ops: &[
            Op::Items {
                nullable: false,
                item: &Item {
                    min_bytes: 7,
                    size_bytes: size_of::<m::describe_configs_request::DescribeConfigsResource>(),
                    ops: &[
                        Op::Skip(1),
                        Op::Text { nullable: false },
                        Op::Items {
                            nullable: true,
                            item: &Item {
                                min_bytes: 2,
                                size_bytes: STRING_BYTES,
                                ops: &[Op::Text { nullable: false }],
                            },
                        },
                    ],
                },
            },
            Op::Skip(2),
        ],
    },
    Program {
        first: 4,
        last: 4,
        flexible: true,
        ops: &[
            Op::Items {
                nullable: false,
                item: &Item {
                    min_bytes: 4,
                    size_bytes: size_of::<m::describe_configs_request::DescribeConfigsResource>(),
                    ops: &[
                        Op::Skip(1),
                        Op::Text { nullable: false },
                        Op::Items {
                            nullable: true,
                            item: &Item {
                                min_bytes: 1,
                                size_bytes: STRING_BYTES,
                                ops: &[Op::Text { nullable: false }],
                            },
                        },
                        Op::Tags(&[]),
                    ],
                },
            },
            Op::Skip(2),
            Op::Tags(&[]),
        ],
    },
];

const ALTER_CONFIGS: &[Program] = &[
    Program {
        first: 0,
        last: 1,
        flexible: false,
        ops: &[
            Op::Items {
                nullable: false,
                item: &Item {
                    min_bytes: 7,
                    size_bytes: size_of::<m::alter_configs_request::AlterConfigsResource>(),
                    ops: &[
                        Op::Skip(1),
                        Op::Text { nullable: false },
                        Op::Items {
                            nullable: false,
                            item: &Item {
                                min_bytes: 4,
                                size_bytes: size_of::<m::alter_configs_request::AlterableConfig>(),
                                ops: &[Op::Text { nullable: false }, Op::Text { nullable: true }],
                            },
                        },
                    ],
                },
            },
            Op::Skip(1),
        ],
    },
    Program {
        first: 2,
        last: 2,
        flexible: true,
        ops: &[
            Op::Items {
                nullable: false,
                item: &Item {
                    min_bytes: 4,
                    size_bytes: size_of::<m::alter_configs_request::AlterConfigsResource>(),
                    ops: &[
                        Op::Skip(1),
                        Op::Text { nullable: false },
                        Op::Items {
                            nullable: false,
                            item: &Item {
                                min_bytes: 3,
                                size_bytes: size_of::<m::alter_configs_request::AlterableConfig>(),
                                ops: &[Op::Text { nullable: false }, Op::Text { nullable: true }, Op::Tags(&[])],
                            },
                        },
                        Op::Tags(&[]),
                    ],
                },
            },
            Op::Skip(1),
            Op::Tags(&[]),
        ],
    },
];

const ALTER_REPLICA_LOG_DIRS: &[Program] = &[
    Program {
        first: 1,
        last: 1,
        flexible: false,
        ops: &[Op::Items {
            nullable: false,
            item: &Item {
                min_bytes: 6,
                size_bytes: size_of::<m::alter_replica_log_dirs_request::AlterReplicaLogDir>(),
                ops: &[
                    Op::Text { nullable: false },
                    Op::Items {
                        nullable: false,
                        item: &Item {
                            min_bytes: 6,
                            size_bytes: size_of::<m::alter_replica_log_dirs_request::AlterReplicaLogDirTopic>(),
                            ops: &[
                                Op::Text { nullable: false },
                                Op::Items {
                                    nullable: false,
                                    item: &Item { min_bytes: 4, size_bytes: 4, ops: &[Op::Skip(4)] },
                                },
                            ],
                        },
                    },
                ],
            },
        }],
    },
    Program {
        first: 2,
        last: 2,
        flexible: true,
        ops: &[
            Op::Items {
                nullable: false,
                item: &Item {
                    min_bytes: 3,
                    size_bytes: size_of::<m::alter_replica_log_dirs_request::AlterReplicaLogDir>(),
                    ops: &[
                        Op::Text { nullable: false },
                        Op::Items {
                            nullable: false,
                            item: &Item {
                                min_bytes: 3,
                                size_bytes: size_of::<m::alter_replica_log_dirs_request::AlterReplicaLogDirTopic>(),
                                ops: &[
                                    Op::Text { nullable: false },
                                    Op::Items {
                                        nullable: false,
                                        item: &Item { min_bytes: 4, size_bytes: 4, ops: &[Op::Skip(4)] },
                                    },
                                    Op::Tags(&[]),
                                ],
                            },
                        },
                        Op::Tags(&[]),
                    ],
                },
            },
            Op::Tags(&[]),
        ],
    },
];

const DESCRIBE_LOG_DIRS: &[Program] = &[
    Program {
        first: 1,
        last: 1,
        flexible: false,
        ops: &[Op::Items {
            nullable: true,
            item: &Item {
                min_bytes: 6,
                size_bytes: size_of::<m::describe_log_dirs_request::DescribableLogDirTopic>(),
                ops: &[
                    Op::Text { nullable: false },
                    Op::Items { nullable: false, item: &Item { min_bytes: 4, size_bytes: 4, ops: &[Op::Skip(4)] } },
                ],
            },
        }],
    },
    Program {
        first: 2,
        last: 5,
        flexible: true,
        ops: &[
            Op::Items {
                nullable: true,
                item: &Item {
                    min_bytes: 3,
                    size_bytes: size_of::<m::describe_log_dirs_request::DescribableLogDirTopic>(),
                    ops: &[
                        Op::Text { nullable: false },
                        Op::Items { nullable: false, item: &Item { min_bytes: 4, size_bytes: 4, ops: &[Op::Skip(4)] } },
                        Op::Tags(&[]),
                    ],
                },
            },
            Op::Tags(&[]),
        ],
    },
];

const SASL_AUTHENTICATE: &[Program] = &[
    Program { first: 0, last: 1, flexible: false, ops: &[Op::Bytes { nullable: false }] },
    Program { first: 2, last: 2, flexible: true, ops: &[Op::Bytes { nullable: false }, Op::Tags(&[])] },
];

const CREATE_PARTITIONS: &[Program] = &[
    Program {
        first: 0,
        last: 1,
        flexible: false,
        ops: &[
            Op::Items {
                nullable: false,
                item: &Item {
                    min_bytes: 10,
                    size_bytes: size_of::<m::create_partitions_request::CreatePartitionsTopic>(),
                    ops: &[
                        Op::Text { nullable: false },
                        Op::Skip(4),
                        Op::Items {
                            nullable: true,
                            item: &Item {
                                min_bytes: 4,
                                size_bytes: size_of::<m::create_partitions_request::CreatePartitionsAssignment>(),
                                ops: &[Op::Items {
                                    nullable: false,
                                    item: &Item { min_bytes: 4, size_bytes: 4, ops: &[Op::Skip(4)] },
                                }],
                            },
                        },
                    ],
                },
            },
            Op::Skip(5),
        ],
    },
    Program {
        first: 2,
        last: 3,
        flexible: true,
        ops: &[
            Op::Items {
                nullable: false,
                item: &Item {
                    min_bytes: 7,
                    size_bytes: size_of::<m::create_partitions_request::CreatePartitionsTopic>(),
                    ops: &[
                        Op::Text { nullable: false },
                        Op::Skip(4),
                        Op::Items {
                            nullable: true,
                            item: &Item {
                                min_bytes: 2,
                                size_bytes: size_of::<m::create_partitions_request::CreatePartitionsAssignment>(),
                                ops: &[
                                    Op::Items {
                                        nullable: false,
                                        item: &Item { min_bytes: 4, size_bytes: 4, ops: &[Op::Skip(4)] },
                                    },
                                    Op::Tags(&[]),
                                ],
                            },
                        },
                        Op::Tags(&[]),
                    ],
                },
            },
            Op::Skip(5),
            Op::Tags(&[]),
        ],
    },
];

const CREATE_DELEGATION_TOKEN: &[Program] = &[
    Program {
        first: 1,
        last: 1,
        flexible: false,
        ops: &[
            Op::Items {
                nullable: false,
                item: &Item {
                    min_bytes: 4,
                    size_bytes: size_of::<m::create_delegation_token_request::CreatableRenewers>(),
                    ops: &[Op::Text { nullable: false }, Op::Text { nullable: false }],
                },
            },
            Op::Skip(8),
        ],
    },
    Program {
        first: 2,
        last: 2,
        flexible: true,
        ops: &[
            Op::Items {
                nullable: false,
                item: &Item {
                    min_bytes: 3,
                    size_bytes: size_of::<m::create_delegation_token_request::CreatableRenewers>(),
                    ops: &[Op::Text { nullable: false }, Op::Text { nullable: false }, Op::Tags(&[])],
                },
            },
            Op::Skip(8),
            Op::Tags(&[]),
        ],
    },
    Program {
        first: 3,
        last: 3,
        flexible: true,
        ops: &[
            Op::Text { nullable: true },
            Op::Text { nullable: true },
            Op::Items {
                nullable: false,
                item: &Item {
                    min_bytes: 3,
                    size_bytes: size_of::<m::create_delegation_token_request::CreatableRenewers>(),
                    ops: &[Op::Text { nullable: false }, Op::Text { nullable: false }, Op::Tags(&[])],
                },
            },
            Op::Skip(8),
            Op::Tags(&[]),
        ],
    },
];

const RENEW_DELEGATION_TOKEN: &[Program] = &[
    Program { first: 1, last: 1, flexible: false, ops: &[Op::Bytes { nullable: false }, Op::Skip(8)] },
    Program { first: 2, last: 2, flexible: true, ops: &[Op::Bytes { nullable: false }, Op::Skip(8), Op::Tags(&[])] },
];

const EXPIRE_DELEGATION_TOKEN: &[Program] = &[
    Program { first: 1, last: 1, flexible: false, ops: &[Op::Bytes { nullable: false }, Op::Skip(8)] },
    Program { first: 2, last: 2, flexible: true, ops: &[Op::Bytes { nullable: false }, Op::Skip(8), Op::Tags(&[])] },
];

const DESCRIBE_DELEGATION_TOKEN: &[Program] = &[
    Program {
        first: 1,
        last: 1,
        flexible: false,
        ops: &[Op::Items {
            nullable: true,
            item: &Item {
                min_bytes: 4,
                size_bytes: size_of::<m::describe_delegation_token_request::DescribeDelegationTokenOwner>(),
                ops: &[Op::Text { nullable: false }, Op::Text { nullable: false }],
            },
        }],
    },
    Program {
        first: 2,
        last: 3,
        flexible: true,
        ops: &[
            Op::Items {
                nullable: true,
                item: &Item {
                    min_bytes: 3,
                    size_bytes: size_of::<m::describe_delegation_token_request::DescribeDelegationTokenOwner>(),
                    ops: &[Op::Text { nullable: false }, Op::Text { nullable: false }, Op::Tags(&[])],
                },
            },
            Op::Tags(&[]),
        ],
    },
];

const DELETE_GROUPS: &[Program] = &[
    Program {
        first: 0,
        last: 1,
        flexible: false,
        ops: &[Op::Items {
            nullable: false,
            item: &Item { min_bytes: 2, size_bytes: STRING_BYTES, ops: &[Op::Text { nullable: false }] },
        }],
    },
    Program {
        first: 2,
        last: 2,
        flexible: true,
        ops: &[
            Op::Items {
                nullable: false,
                item: &Item { min_bytes: 1, size_bytes: STRING_BYTES, ops: &[Op::Text { nullable: false }] },
            },
            Op::Tags(&[]),
        ],
    },
];

const ELECT_LEADERS: &[Program] = &[
    Program {
        first: 0,
        last: 0,
        flexible: false,
        ops: &[
            Op::Items {
                nullable: true,
                item: &Item {
                    min_bytes: 6,
                    size_bytes: size_of::<m::elect_leaders_request::TopicPartitions>(),
                    ops: &[
                        Op::Text { nullable: false },
                        Op::Items { nullable: false, item: &Item { min_bytes: 4, size_bytes: 4, ops: &[Op::Skip(4)] } },
                    ],
                },
            },
            Op::Skip(4),
        ],
    },
    Program {
        first: 1,
        last: 1,
        flexible: false,
        ops: &[
            Op::Skip(1),
            Op::Items {
                nullable: true,
                item: &Item {
                    min_bytes: 6,
                    size_bytes: size_of::<m::elect_leaders_request::TopicPartitions>(),
                    ops: &[
                        Op::Text { nullable: false },
                        Op::Items { nullable: false, item: &Item { min_bytes: 4, size_bytes: 4, ops: &[Op::Skip(4)] } },
                    ],
                },
            },
            Op::Skip(4),
        ],
    },
    Program {
        first: 2,
        last: 2,
        flexible: true,
        ops: &[
            Op::Skip(1),
            Op::Items {
                nullable: true,
                item: &Item {
                    min_bytes: 3,
                    size_bytes: size_of::<m::elect_leaders_request::TopicPartitions>(),
                    ops: &[
                        Op::Text { nullable: false },
                        Op::Items { nullable: false, item: &Item { min_bytes: 4, size_bytes: 4, ops: &[Op::Skip(4)] } },
                        Op::Tags(&[]),
                    ],
                },
            },
            Op::Skip(4),
            Op::Tags(&[]),
        ],
    },
];

const INCREMENTAL_ALTER_CONFIGS: &[Program] = &[
    Program {
        first: 0,
        last: 0,
        flexible: false,
        ops: &[
            Op::Items {
                nullable: false,
                item: &Item {
                    min_bytes: 7,
                    size_bytes: size_of::<m::incremental_alter_configs_request::AlterConfigsResource>(),
                    ops: &[
                        Op::Skip(1),
                        Op::Text { nullable: false },
                        Op::Items {
                            nullable: false,
                            item: &Item {
                                min_bytes: 5,
                                size_bytes: size_of::<m::incremental_alter_configs_request::AlterableConfig>(),
                                ops: &[Op::Text { nullable: false }, Op::Skip(1), Op::Text { nullable: true }],
                            },
                        },
                    ],
                },
            },
            Op::Skip(1),
        ],
    },
    Program {
        first: 1,
        last: 1,
        flexible: true,
        ops: &[
            Op::Items {
                nullable: false,
                item: &Item {
                    min_bytes: 4,
                    size_bytes: size_of::<m::incremental_alter_configs_request::AlterConfigsResource>(),
                    ops: &[
                        Op::Skip(1),
                        Op::Text { nullable: false },
                        Op::Items {
                            nullable: false,
                            item: &Item {
                                min_bytes: 4,
                                size_bytes: size_of::<m::incremental_alter_configs_request::AlterableConfig>(),
                                ops: &[
                                    Op::Text { nullable: false },
                                    Op::Skip(1),
                                    Op::Text { nullable: true },
                                    Op::Tags(&[]),
                                ],
                            },
                        },
                        Op::Tags(&[]),
                    ],
                },
            },
            Op::Skip(1),
            Op::Tags(&[]),
        ],
    },
];

const ALTER_PARTITION_REASSIGNMENTS: &[Program] = &[
    Program {
        first: 0,
        last: 0,
        flexible: true,
        ops: &[
            Op::Skip(4),
            Op::Items {
                nullable: false,
                item: &Item {
                    min_bytes: 3,
                    size_bytes: size_of::<m::alter_partition_reassignments_request::ReassignableTopic>(),
                    ops: &[
                        Op::Text { nullable: false },
                        Op::Items {
                            nullable: false,
                            item: &Item {
                                min_bytes: 6,
                                size_bytes: size_of::<m::alter_partition_reassignments_request::ReassignablePartition>(
                                ),
                                ops: &[
                                    Op::Skip(4),
                                    Op::Items {
                                        nullable: true,
                                        item: &Item { min_bytes: 4, size_bytes: 4, ops: &[Op::Skip(4)] },
                                    },
                                    Op::Tags(&[]),
                                ],
                            },
                        },
                        Op::Tags(&[]),
                    ],
                },
            },
            Op::Tags(&[]),
        ],
    },
    Program {
        first: 1,
        last: 1,
        flexible: true,
        ops: &[
            Op::Skip(5),
            Op::Items {
                nullable: false,
                item: &Item {
                    min_bytes: 3,
                    size_bytes: size_of::<m::alter_partition_reassignments_request::ReassignableTopic>(),
                    ops: &[
                        Op::Text { nullable: false },
                        Op::Items {
                            nullable: false,
                            item: &Item {
                                min_bytes: 6,
                                size_bytes: size_of::<m::alter_partition_reassignments_request::ReassignablePartition>(
                                ),
                                ops: &[
                                    Op::Skip(4),
                                    Op::Items {
                                        nullable: true,
                                        item: &Item { min_bytes: 4, size_bytes: 4, ops: &[Op::Skip(4)] },
                                    },
                                    Op::Tags(&[]),
                                ],
                            },
                        },
                        Op::Tags(&[]),
                    ],
                },
            },
            Op::Tags(&[]),
        ],
    },
];

const LIST_PARTITION_REASSIGNMENTS: &[Program] = &[Program {
    first: 0,
    last: 0,
    flexible: true,
    ops: &[
        Op::Skip(4),
        Op::Items {
            nullable: true,
            item: &Item {
                min_bytes: 3,
                size_bytes: size_of::<m::list_partition_reassignments_request::ListPartitionReassignmentsTopics>(),
                ops: &[
                    Op::Text { nullable: false },
                    Op::Items { nullable: false, item: &Item { min_bytes: 4, size_bytes: 4, ops: &[Op::Skip(4)] } },
                    Op::Tags(&[]),
                ],
            },
        },
        Op::Tags(&[]),
    ],
}];

const OFFSET_DELETE: &[Program] = &[Program {
    first: 0,
    last: 0,
    flexible: false,
    ops: &[
        Op::Text { nullable: false },
        Op::Items {
            nullable: false,
            item: &Item {
                min_bytes: 6,
                size_bytes: size_of::<m::offset_delete_request::OffsetDeleteRequestTopic>(),
                ops: &[
                    Op::Text { nullable: false },
                    Op::Items {
                        nullable: false,
                        item: &Item {
                            min_bytes: 4,
                            size_bytes: size_of::<m::offset_delete_request::OffsetDeleteRequestPartition>(),
                            ops: &[Op::Skip(4)],
                        },
                    },
                ],
            },
        },
    ],
}];

const DESCRIBE_CLIENT_QUOTAS: &[Program] = &[
    Program {
        first: 0,
        last: 0,
        flexible: false,
        ops: &[
            Op::Items {
                nullable: false,
                item: &Item {
                    min_bytes: 5,
                    size_bytes: size_of::<m::describe_client_quotas_request::ComponentData>(),
                    ops: &[Op::Text { nullable: false }, Op::Skip(1), Op::Text { nullable: true }],
                },
            },
            Op::Skip(1),
        ],
    },
    Program {
        first: 1,
        last: 1,
        flexible: true,
        ops: &[
            Op::Items {
                nullable: false,
                item: &Item {
                    min_bytes: 4,
                    size_bytes: size_of::<m::describe_client_quotas_request::ComponentData>(),
                    ops: &[Op::Text { nullable: false }, Op::Skip(1), Op::Text { nullable: true }, Op::Tags(&[])],
                },
            },
            Op::Skip(1),
            Op::Tags(&[]),
        ],
    },
];

const ALTER_CLIENT_QUOTAS: &[Program] = &[
    Program {
        first: 0,
        last: 0,
        flexible: false,
        ops: &[
            Op::Items {
                nullable: false,
                item: &Item {
                    min_bytes: 8,
                    size_bytes: size_of::<m::alter_client_quotas_request::EntryData>(),
                    ops: &[
                        Op::Items {
                            nullable: false,
                            item: &Item {
                                min_bytes: 4,
                                size_bytes: size_of::<m::alter_client_quotas_request::EntityData>(),
                                ops: &[Op::Text { nullable: false }, Op::Text { nullable: true }],
                            },
                        },
                        Op::Items {
                            nullable: false,
                            item: &Item {
                                min_bytes: 11,
                                size_bytes: size_of::<m::alter_client_quotas_request::OpData>(),
                                ops: &[Op::Text { nullable: false }, Op::Skip(9)],
                            },
                        },
                    ],
                },
            },
            Op::Skip(1),
        ],
    },
    Program {
        first: 1,
        last: 1,
        flexible: true,
        ops: &[
            Op::Items {
                nullable: false,
                item: &Item {
                    min_bytes: 3,
                    size_bytes: size_of::<m::alter_client_quotas_request::EntryData>(),
                    ops: &[
                        Op::Items {
                            nullable: false,
                            item: &Item {
                                min_bytes: 3,
                                size_bytes: size_of::<m::alter_client_quotas_request::EntityData>(),
                                ops: &[Op::Text { nullable: false }, Op::Text { nullable: true }, Op::Tags(&[])],
                            },
                        },
                        Op::Items {
                            nullable: false,
                            item: &Item {
                                min_bytes: 11,
                                size_bytes: size_of::<m::alter_client_quotas_request::OpData>(),
                                ops: &[Op::Text { nullable: false }, Op::Skip(9), Op::Tags(&[])],
                            },
                        },
                        Op::Tags(&[]),
                    ],
                },
            },
            Op::Skip(1),
            Op::Tags(&[]),
        ],
    },
];

const DESCRIBE_USER_SCRAM_CREDENTIALS: &[Program] = &[Program {
    first: 0,
    last: 0,
    flexible: true,
    ops: &[
        Op::Items {
            nullable: true,
            item: &Item {
                min_bytes: 2,
                size_bytes: size_of::<m::describe_user_scram_credentials_request::UserName>(),
                ops: &[Op::Text { nullable: false }, Op::Tags(&[])],
            },
        },
        Op::Tags(&[]),
    ],
}];

const ALTER_USER_SCRAM_CREDENTIALS: &[Program] = &[Program {
    first: 0,
    last: 0,
    flexible: true,
    ops: &[
        Op::Items {
            nullable: false,
            item: &Item {
                min_bytes: 3,
                size_bytes: size_of::<m::alter_user_scram_credentials_request::ScramCredentialDeletion>(),
                ops: &[Op::Text { nullable: false }, Op::Skip(1), Op::Tags(&[])],
            },
        },
        Op::Items {
            nullable: false,
            item: &Item {
                min_bytes: 9,
                size_bytes: size_of::<m::alter_user_scram_credentials_request::ScramCredentialUpsertion>(),
                ops: &[
                    Op::Text { nullable: false },
                    Op::Skip(5),
                    Op::Bytes { nullable: false },
                    Op::Bytes { nullable: false },
                    Op::Tags(&[]),
                ],
            },
        },
        Op::Tags(&[]),
    ],
}];

const VOTE: &[Program] = &[
    Program {
        first: 0,
        last: 0,
        flexible: true,
        ops: &[
            Op::Text { nullable: true },
            Op::Items {
                nullable: false,
                item: &Item {
                    min_bytes: 3,
                    size_bytes: size_of::<m::vote_request::TopicData>(),
                    ops: &[
                        Op::Text { nullable: false },
                        Op::Items {
                            nullable: false,
                            item: &Item {
                                min_bytes: 25,
                                size_bytes: size_of::<m::vote_request::PartitionData>(),
                                ops: &[Op::Skip(24), Op::Tags(&[])],
                            },
                        },
                        Op::Tags(&[]),
                    ],
                },
            },
            Op::Tags(&[]),
        ],
    },
    Program {
        first: 1,
        last: 1,
        flexible: true,
        ops: &[
            Op::Text { nullable: true },
            Op::Skip(4),
            Op::Items {
                nullable: false,
                item: &Item {
                    min_bytes: 3,
                    size_bytes: size_of::<m::vote_request::TopicData>(),
                    ops: &[
                        Op::Text { nullable: false },
                        Op::Items {
                            nullable: false,
                            item: &Item {
                                min_bytes: 57,
                                size_bytes: size_of::<m::vote_request::PartitionData>(),
                                ops: &[Op::Skip(56), Op::Tags(&[])],
                            },
                        },
                        Op::Tags(&[]),
                    ],
                },
            },
            Op::Tags(&[]),
        ],
    },
    Program {
        first: 2,
        last: 2,
        flexible: true,
        ops: &[
            Op::Text { nullable: true },
            Op::Skip(4),
            Op::Items {
                nullable: false,
                item: &Item {
                    min_bytes: 3,
                    size_bytes: size_of::<m::vote_request::TopicData>(),
                    ops: &[
                        Op::Text { nullable: false },
                        Op::Items {
                            nullable: false,
                            item: &Item {
                                min_bytes: 58,
                                size_bytes: size_of::<m::vote_request::PartitionData>(),
                                ops: &[Op::Skip(57), Op::Tags(&[])],
                            },
                        },
                        Op::Tags(&[]),
                    ],
                },
            },
            Op::Tags(&[]),
        ],
    },
];

const BEGIN_QUORUM_EPOCH: &[Program] = &[
    Program {
        first: 0,
        last: 0,
        flexible: false,
        ops: &[
            Op::Text { nullable: true },
            Op::Items {
                nullable: false,
                item: &Item {
                    min_bytes: 6,
                    size_bytes: size_of::<m::begin_quorum_epoch_request::TopicData>(),
                    ops: &[
                        Op::Text { nullable: false },
                        Op::Items {
                            nullable: false,
                            item: &Item {
                                min_bytes: 12,
                                size_bytes: size_of::<m::begin_quorum_epoch_request::PartitionData>(),
                                ops: &[Op::Skip(12)],
                            },
                        },
                    ],
                },
            },
        ],
    },
    Program {
        first: 1,
        last: 1,
        flexible: true,
        ops: &[
            Op::Text { nullable: true },
            Op::Skip(4),
            Op::Items {
                nullable: false,
                item: &Item {
                    min_bytes: 3,
                    size_bytes: size_of::<m::begin_quorum_epoch_request::TopicData>(),
                    ops: &[
                        Op::Text { nullable: false },
                        Op::Items {
                            nullable: false,
                            item: &Item {
                                min_bytes: 29,
                                size_bytes: size_of::<m::begin_quorum_epoch_request::PartitionData>(),
                                ops: &[Op::Skip(28), Op::Tags(&[])],
                            },
                        },
                        Op::Tags(&[]),
                    ],
                },
            },
            Op::Items {
                nullable: false,
                item: &Item {
                    min_bytes: 5,
                    size_bytes: size_of::<m::begin_quorum_epoch_request::LeaderEndpoint>(),
                    ops: &[Op::Text { nullable: false }, Op::Text { nullable: false }, Op::Skip(2), Op::Tags(&[])],
                },
            },
            Op::Tags(&[]),
        ],
    },
];

const END_QUORUM_EPOCH: &[Program] = &[
    Program {
        first: 0,
        last: 0,
        flexible: false,
        ops: &[
            Op::Text { nullable: true },
            Op::Items {
                nullable: false,
                item: &Item {
                    min_bytes: 6,
                    size_bytes: size_of::<m::end_quorum_epoch_request::TopicData>(),
                    ops: &[
                        Op::Text { nullable: false },
                        Op::Items {
                            nullable: false,
                            item: &Item {
                                min_bytes: 16,
                                size_bytes: size_of::<m::end_quorum_epoch_request::PartitionData>(),
                                ops: &[
                                    Op::Skip(12),
                                    Op::Items {
                                        nullable: false,
                                        item: &Item { min_bytes: 4, size_bytes: 4, ops: &[Op::Skip(4)] },
                                    },
                                ],
                            },
                        },
                    ],
                },
            },
        ],
    },
    Program {
        first: 1,
        last: 1,
        flexible: true,
        ops: &[
            Op::Text { nullable: true },
            Op::Items {
                nullable: false,
                item: &Item {
                    min_bytes: 3,
                    size_bytes: size_of::<m::end_quorum_epoch_request::TopicData>(),
                    ops: &[
                        Op::Text { nullable: false },
                        Op::Items {
                            nullable: false,
                            item: &Item {
                                min_bytes: 14,
                                size_bytes: size_of::<m::end_quorum_epoch_request::PartitionData>(),
                                ops: &[
                                    Op::Skip(12),
                                    Op::Items {
                                        nullable: false,
                                        item: &Item {
                                            min_bytes: 21,
                                            size_bytes: size_of::<m::end_quorum_epoch_request::ReplicaInfo>(),
                                            ops: &[Op::Skip(20), Op::Tags(&[])],
                                        },
                                    },
                                    Op::Tags(&[]),
                                ],
                            },
                        },
                        Op::Tags(&[]),
                    ],
                },
            },
            Op::Items {
                nullable: false,
                item: &Item {
                    min_bytes: 5,
                    size_bytes: size_of::<m::end_quorum_epoch_request::LeaderEndpoint>(),
                    ops: &[Op::Text { nullable: false }, Op::Text { nullable: false }, Op::Skip(2), Op::Tags(&[])],
                },
            },
            Op::Tags(&[]),
        ],
    },
];

const DESCRIBE_QUORUM: &[Program] = &[Program {
    first: 0,
    last: 2,
    flexible: true,
    ops: &[
        Op::Items {
            nullable: false,
            item: &Item {
                min_bytes: 3,
                size_bytes: size_of::<m::describe_quorum_request::TopicData>(),
                ops: &[
                    Op::Text { nullable: false },
                    Op::Items {
                        nullable: false,
                        item: &Item {
                            min_bytes: 5,
                            size_bytes: size_of::<m::describe_quorum_request::PartitionData>(),
                            ops: &[Op::Skip(4), Op::Tags(&[])],
                        },
                    },
                    Op::Tags(&[]),
                ],
            },
        },
        Op::Tags(&[]),
    ],
}];

const ALTER_PARTITION: &[Program] = &[
    Program {
        first: 2,
        last: 2,
        flexible: true,
        ops: &[
            Op::Skip(12),
            Op::Items {
                nullable: false,
                item: &Item {
                    min_bytes: 18,
                    size_bytes: size_of::<m::alter_partition_request::TopicData>(),
                    ops: &[
                        Op::Skip(16),
                        Op::Items {
                            nullable: false,
                            item: &Item {
                                min_bytes: 15,
                                size_bytes: size_of::<m::alter_partition_request::PartitionData>(),
                                ops: &[
                                    Op::Skip(8),
                                    Op::Items {
                                        nullable: false,
                                        item: &Item { min_bytes: 4, size_bytes: 4, ops: &[Op::Skip(4)] },
                                    },
                                    Op::Skip(5),
                                    Op::Tags(&[]),
                                ],
                            },
                        },
                        Op::Tags(&[]),
                    ],
                },
            },
            Op::Tags(&[]),
        ],
    },
    Program {
        first: 3,
        last: 3,
        flexible: true,
        ops: &[
            Op::Skip(12),
            Op::Items {
                nullable: false,
                item: &Item {
                    min_bytes: 18,
                    size_bytes: size_of::<m::alter_partition_request::TopicData>(),
                    ops: &[
                        Op::Skip(16),
                        Op::Items {
                            nullable: false,
                            item: &Item {
                                min_bytes: 15,
                                size_bytes: size_of::<m::alter_partition_request::PartitionData>(),
                                ops: &[
                                    Op::Skip(8),
                                    Op::Items {
                                        nullable: false,
                                        item: &Item {
                                            min_bytes: 13,
                                            size_bytes: size_of::<m::alter_partition_request::BrokerState>(),
                                            ops: &[Op::Skip(12), Op::Tags(&[])],
                                        },
                                    },
                                    Op::Skip(5),
                                    Op::Tags(&[]),
                                ],
                            },
                        },
                        Op::Tags(&[]),
                    ],
                },
            },
            Op::Tags(&[]),
        ],
    },
];

const UPDATE_FEATURES: &[Program] = &[
    Program {
        first: 0,
        last: 0,
        flexible: true,
        ops: &[
            Op::Skip(4),
            Op::Items {
                nullable: false,
                item: &Item {
                    min_bytes: 5,
                    size_bytes: size_of::<m::update_features_request::FeatureUpdateKey>(),
                    ops: &[Op::Text { nullable: false }, Op::Skip(3), Op::Tags(&[])],
                },
            },
            Op::Tags(&[]),
        ],
    },
    Program {
        first: 1,
        last: 2,
        flexible: true,
        ops: &[
            Op::Skip(4),
            Op::Items {
                nullable: false,
                item: &Item {
                    min_bytes: 5,
                    size_bytes: size_of::<m::update_features_request::FeatureUpdateKey>(),
                    ops: &[Op::Text { nullable: false }, Op::Skip(3), Op::Tags(&[])],
                },
            },
            Op::Skip(1),
            Op::Tags(&[]),
        ],
    },
];

const ENVELOPE: &[Program] = &[Program {
    first: 0,
    last: 0,
    flexible: true,
    ops: &[Op::Bytes { nullable: false }, Op::Bytes { nullable: true }, Op::Bytes { nullable: false }, Op::Tags(&[])],
}];

const FETCH_SNAPSHOT: &[Program] = &[
    Program {
        first: 0,
        last: 0,
        flexible: true,
        ops: &[
            Op::Skip(8),
            Op::Items {
                nullable: false,
                item: &Item {
                    min_bytes: 3,
                    size_bytes: size_of::<m::fetch_snapshot_request::TopicSnapshot>(),
                    ops: &[
                        Op::Text { nullable: false },
                        Op::Items {
                            nullable: false,
                            item: &Item {
                                min_bytes: 30,
                                size_bytes: size_of::<m::fetch_snapshot_request::PartitionSnapshot>(),
                                ops: &[
                                    Op::Skip(8),
                                    Op::Skip(12),
                                    Op::Tags(&[]),
                                    Op::Skip(8),
                                    Op::Tags(&[Tag { tag: 0, ops: None }]),
                                ],
                            },
                        },
                        Op::Tags(&[]),
                    ],
                },
            },
            Op::Tags(&[Tag { tag: 0, ops: Some(&[Op::Text { nullable: true }]) }]),
        ],
    },
    Program {
        first: 1,
        last: 1,
        flexible: true,
        ops: &[
            Op::Skip(8),
            Op::Items {
                nullable: false,
                item: &Item {
                    min_bytes: 3,
                    size_bytes: size_of::<m::fetch_snapshot_request::TopicSnapshot>(),
                    ops: &[
                        Op::Text { nullable: false },
                        Op::Items {
                            nullable: false,
                            item: &Item {
                                min_bytes: 30,
                                size_bytes: size_of::<m::fetch_snapshot_request::PartitionSnapshot>(),
                                ops: &[
                                    Op::Skip(8),
                                    Op::Skip(12),
                                    Op::Tags(&[]),
                                    Op::Skip(8),
                                    Op::Tags(&[Tag { tag: 0, ops: Some(&[Op::Skip(16)]) }]),
                                ],
                            },
                        },
                        Op::Tags(&[]),
                    ],
                },
            },
            Op::Tags(&[Tag { tag: 0, ops: Some(&[Op::Text { nullable: true }]) }]),
        ],
    },
];

const DESCRIBE_CLUSTER: &[Program] = &[
    Program { first: 0, last: 0, flexible: true, ops: &[Op::Skip(1), Op::Tags(&[])] },
    Program { first: 1, last: 1, flexible: true, ops: &[Op::Skip(2), Op::Tags(&[])] },
    Program { first: 2, last: 2, flexible: true, ops: &[Op::Skip(3), Op::Tags(&[])] },
];

const DESCRIBE_PRODUCERS: &[Program] = &[Program {
    first: 0,
    last: 0,
    flexible: true,
    ops: &[
        Op::Items {
            nullable: false,
            item: &Item {
                min_bytes: 3,
                size_bytes: size_of::<m::describe_producers_request::TopicRequest>(),
                ops: &[
                    Op::Text { nullable: false },
                    Op::Items { nullable: false, item: &Item { min_bytes: 4, size_bytes: 4, ops: &[Op::Skip(4)] } },
                    Op::Tags(&[]),
                ],
            },
        },
        Op::Tags(&[]),
    ],
}];

const BROKER_REGISTRATION: &[Program] = &[
    Program {
        first: 0,
        last: 0,
        flexible: true,
        ops: &[
            Op::Skip(4),
            Op::Text { nullable: false },
            Op::Skip(16),
            Op::Items {
                nullable: false,
                item: &Item {
                    min_bytes: 7,
                    size_bytes: size_of::<m::broker_registration_request::Listener>(),
                    ops: &[Op::Text { nullable: false }, Op::Text { nullable: false }, Op::Skip(4), Op::Tags(&[])],
                },
            },
            Op::Items {
                nullable: false,
                item: &Item {
                    min_bytes: 6,
                    size_bytes: size_of::<m::broker_registration_request::Feature>(),
                    ops: &[Op::Text { nullable: false }, Op::Skip(4), Op::Tags(&[])],
                },
            },
            Op::Text { nullable: true },
            Op::Tags(&[]),
        ],
    },
    Program {
        first: 1,
        last: 1,
        flexible: true,
        ops: &[
            Op::Skip(4),
            Op::Text { nullable: false },
            Op::Skip(16),
            Op::Items {
                nullable: false,
                item: &Item {
                    min_bytes: 7,
                    size_bytes: size_of::<m::broker_registration_request::Listener>(),
                    ops: &[Op::Text { nullable: false }, Op::Text { nullable: false }, Op::Skip(4), Op::Tags(&[])],
                },
            },
            Op::Items {
                nullable: false,
                item: &Item {
                    min_bytes: 6,
                    size_bytes: size_of::<m::broker_registration_request::Feature>(),
                    ops: &[Op::Text { nullable: false }, Op::Skip(4), Op::Tags(&[])],
                },
            },
            Op::Text { nullable: true },
            Op::Skip(1),
            Op::Tags(&[]),
        ],
    },
    Program {
        first: 2,
        last: 2,
        flexible: true,
        ops: &[
            Op::Skip(4),
            Op::Text { nullable: false },
            Op::Skip(16),
            Op::Items {
                nullable: false,
                item: &Item {
                    min_bytes: 7,
                    size_bytes: size_of::<m::broker_registration_request::Listener>(),
                    ops: &[Op::Text { nullable: false }, Op::Text { nullable: false }, Op::Skip(4), Op::Tags(&[])],
                },
            },
            Op::Items {
                nullable: false,
                item: &Item {
                    min_bytes: 6,
                    size_bytes: size_of::<m::broker_registration_request::Feature>(),
                    ops: &[Op::Text { nullable: false }, Op::Skip(4), Op::Tags(&[])],
                },
            },
            Op::Text { nullable: true },
            Op::Skip(1),
            Op::Items { nullable: false, item: &Item { min_bytes: 16, size_bytes: 16, ops: &[Op::Skip(16)] } },
            Op::Tags(&[]),
        ],
    },
    Program {
        first: 3,
        last: 4,
        flexible: true,
        ops: &[
            Op::Skip(4),
            Op::Text { nullable: false },
            Op::Skip(16),
            Op::Items {
                nullable: false,
                item: &Item {
                    min_bytes: 7,
                    size_bytes: size_of::<m::broker_registration_request::Listener>(),
                    ops: &[Op::Text { nullable: false }, Op::Text { nullable: false }, Op::Skip(4), Op::Tags(&[])],
                },
            },
            Op::Items {
                nullable: false,
                item: &Item {
                    min_bytes: 6,
                    size_bytes: size_of::<m::broker_registration_request::Feature>(),
                    ops: &[Op::Text { nullable: false }, Op::Skip(4), Op::Tags(&[])],
                },
            },
            Op::Text { nullable: true },
            Op::Skip(1),
            Op::Items { nullable: false, item: &Item { min_bytes: 16, size_bytes: 16, ops: &[Op::Skip(16)] } },
            Op::Skip(8),
            Op::Tags(&[]),
        ],
    },
];

const BROKER_HEARTBEAT: &[Program] = &[
    Program {
        first: 0,
        last: 0,
        flexible: true,
        ops: &[Op::Skip(22), Op::Tags(&[Tag { tag: 0, ops: None }, Tag { tag: 1, ops: None }])],
    },
    Program {
        first: 1,
        last: 1,
        flexible: true,
        ops: &[
            Op::Skip(22),
            Op::Tags(&[
                Tag {
                    tag: 0,
                    ops: Some(&[Op::Items {
                        nullable: false,
                        item: &Item { min_bytes: 16, size_bytes: 16, ops: &[Op::Skip(16)] },
                    }]),
                },
                Tag { tag: 1, ops: None },
            ]),
        ],
    },
    Program {
        first: 2,
        last: 2,
        flexible: true,
        ops: &[
            Op::Skip(22),
            Op::Tags(&[
                Tag {
                    tag: 0,
                    ops: Some(&[Op::Items {
                        nullable: false,
                        item: &Item { min_bytes: 16, size_bytes: 16, ops: &[Op::Skip(16)] },
                    }]),
                },
                Tag {
                    tag: 1,
                    ops: Some(&[Op::Items {
                        nullable: true,
                        item: &Item { min_bytes: 16, size_bytes: 16, ops: &[Op::Skip(16)] },
                    }]),
                },
            ]),
        ],
    },
];

const UNREGISTER_BROKER: &[Program] =
    &[Program { first: 0, last: 0, flexible: true, ops: &[Op::Skip(4), Op::Tags(&[])] }];

const DESCRIBE_TRANSACTIONS: &[Program] = &[Program {
    first: 0,
    last: 0,
    flexible: true,
    ops: &[
        Op::Items {
            nullable: false,
            item: &Item { min_bytes: 1, size_bytes: STRING_BYTES, ops: &[Op::Text { nullable: false }] },
        },
        Op::Tags(&[]),
    ],
}];

const LIST_TRANSACTIONS: &[Program] = &[
    Program {
        first: 0,
        last: 0,
        flexible: true,
        ops: &[
            Op::Items {
                nullable: false,
                item: &Item { min_bytes: 1, size_bytes: STRING_BYTES, ops: &[Op::Text { nullable: false }] },
            },
            Op::Items { nullable: false, item: &Item { min_bytes: 8, size_bytes: 8, ops: &[Op::Skip(8)] } },
            Op::Tags(&[]),
        ],
    },
    Program {
        first: 1,
        last: 1,
        flexible: true,
        ops: &[
            Op::Items {
                nullable: false,
                item: &Item { min_bytes: 1, size_bytes: STRING_BYTES, ops: &[Op::Text { nullable: false }] },
            },
            Op::Items { nullable: false, item: &Item { min_bytes: 8, size_bytes: 8, ops: &[Op::Skip(8)] } },
            Op::Skip(8),
            Op::Tags(&[]),
        ],
    },
    Program {
        first: 2,
        last: 2,
        flexible: true,
        ops: &[
            Op::Items {
                nullable: false,
                item: &Item { min_bytes: 1, size_bytes: STRING_BYTES, ops: &[Op::Text { nullable: false }] },
            },
            Op::Items { nullable: false, item: &Item { min_bytes: 8, size_bytes: 8, ops: &[Op::Skip(8)] } },
            Op::Skip(8),
            Op::Text { nullable: true },
            Op::Tags(&[]),
        ],
    },
];

const ALLOCATE_PRODUCER_IDS: &[Program] =
    &[Program { first: 0, last: 0, flexible: true, ops: &[Op::Skip(12), Op::Tags(&[])] }];

const CONSUMER_GROUP_HEARTBEAT: &[Program] = &[
    Program {
        first: 0,
        last: 0,
        flexible: true,
        ops: &[
            Op::Text { nullable: false },
            Op::Text { nullable: false },
            Op::Skip(4),
            Op::Text { nullable: true },
            Op::Text { nullable: true },
            Op::Skip(4),
            Op::Items {
                nullable: true,
                item: &Item { min_bytes: 1, size_bytes: STRING_BYTES, ops: &[Op::Text { nullable: false }] },
            },
            Op::Text { nullable: true },
            Op::Items {
                nullable: true,
                item: &Item {
                    min_bytes: 18,
                    size_bytes: size_of::<m::consumer_group_heartbeat_request::TopicPartitions>(),
                    ops: &[
                        Op::Skip(16),
                        Op::Items { nullable: false, item: &Item { min_bytes: 4, size_bytes: 4, ops: &[Op::Skip(4)] } },
                        Op::Tags(&[]),
                    ],
                },
            },
            Op::Tags(&[]),
        ],
    },
    Program {
        first: 1,
        last: 1,
        flexible: true,
        ops: &[
            Op::Text { nullable: false },
            Op::Text { nullable: false },
            Op::Skip(4),
            Op::Text { nullable: true },
            Op::Text { nullable: true },
            Op::Skip(4),
            Op::Items {
                nullable: true,
                item: &Item { min_bytes: 1, size_bytes: STRING_BYTES, ops: &[Op::Text { nullable: false }] },
            },
            Op::Text { nullable: true },
            Op::Text { nullable: true },
            Op::Items {
                nullable: true,
                item: &Item {
                    min_bytes: 18,
                    size_bytes: size_of::<m::consumer_group_heartbeat_request::TopicPartitions>(),
                    ops: &[
                        Op::Skip(16),
                        Op::Items { nullable: false, item: &Item { min_bytes: 4, size_bytes: 4, ops: &[Op::Skip(4)] } },
                        Op::Tags(&[]),
                    ],
                },
            },
            Op::Tags(&[]),
        ],
    },
];

const CONSUMER_GROUP_DESCRIBE: &[Program] = &[Program {
    first: 0,
    last: 1,
    flexible: true,
    ops: &[
        Op::Items {
            nullable: false,
            item: &Item { min_bytes: 1, size_bytes: STRING_BYTES, ops: &[Op::Text { nullable: false }] },
        },
        Op::Skip(1),
        Op::Tags(&[]),
    ],
}];

const CONTROLLER_REGISTRATION: &[Program] = &[Program {
    first: 0,
    last: 0,
    flexible: true,
    ops: &[
        Op::Skip(21),
        Op::Items {
            nullable: false,
            item: &Item {
                min_bytes: 7,
                size_bytes: size_of::<m::controller_registration_request::Listener>(),
                ops: &[Op::Text { nullable: false }, Op::Text { nullable: false }, Op::Skip(4), Op::Tags(&[])],
            },
        },
        Op::Items {
            nullable: false,
            item: &Item {
                min_bytes: 6,
                size_bytes: size_of::<m::controller_registration_request::Feature>(),
                ops: &[Op::Text { nullable: false }, Op::Skip(4), Op::Tags(&[])],
            },
        },
        Op::Tags(&[]),
    ],
}];

const GET_TELEMETRY_SUBSCRIPTIONS: &[Program] =
    &[Program { first: 0, last: 0, flexible: true, ops: &[Op::Skip(16), Op::Tags(&[])] }];

const PUSH_TELEMETRY: &[Program] = &[Program {
    first: 0,
    last: 0,
    flexible: true,
    ops: &[Op::Skip(22), Op::Bytes { nullable: false }, Op::Tags(&[])],
}];

const ASSIGN_REPLICAS_TO_DIRS: &[Program] = &[Program {
    first: 0,
    last: 0,
    flexible: true,
    ops: &[
        Op::Skip(12),
        Op::Items {
            nullable: false,
            item: &Item {
                min_bytes: 18,
                size_bytes: size_of::<m::assign_replicas_to_dirs_request::DirectoryData>(),
                ops: &[
                    Op::Skip(16),
                    Op::Items {
                        nullable: false,
                        item: &Item {
                            min_bytes: 18,
                            size_bytes: size_of::<m::assign_replicas_to_dirs_request::TopicData>(),
                            ops: &[
                                Op::Skip(16),
                                Op::Items {
                                    nullable: false,
                                    item: &Item {
                                        min_bytes: 5,
                                        size_bytes: size_of::<m::assign_replicas_to_dirs_request::PartitionData>(),
                                        ops: &[Op::Skip(4), Op::Tags(&[])],
                                    },
                                },
                                Op::Tags(&[]),
                            ],
                        },
                    },
                    Op::Tags(&[]),
                ],
            },
        },
        Op::Tags(&[]),
    ],
}];

const LIST_CONFIG_RESOURCES: &[Program] = &[
    Program { first: 0, last: 0, flexible: true, ops: &[Op::Tags(&[])] },
    Program {
        first: 1,
        last: 1,
        flexible: true,
        ops: &[
            Op::Items { nullable: false, item: &Item { min_bytes: 1, size_bytes: 1, ops: &[Op::Skip(1)] } },
            Op::Tags(&[]),
        ],
    },
];

const DESCRIBE_TOPIC_PARTITIONS: &[Program] = &[Program {
    first: 0,
    last: 0,
    flexible: true,
    ops: &[
        Op::Items {
            nullable: false,
            item: &Item {
                min_bytes: 2,
                size_bytes: size_of::<m::describe_topic_partitions_request::TopicRequest>(),
                ops: &[Op::Text { nullable: false }, Op::Tags(&[])],
            },
        },
        Op::Skip(4),
        Op::Maybe(&[Op::Text { nullable: false }, Op::Skip(4), Op::Tags(&[])]),
        Op::Tags(&[]),
    ],
}];

const SHARE_GROUP_HEARTBEAT: &[Program] = &[Program {
    first: 1,
    last: 1,
    flexible: true,
    ops: &[
        Op::Text { nullable: false },
        Op::Text { nullable: false },
        Op::Skip(4),
        Op::Text { nullable: true },
        Op::Items {
            nullable: true,
            item: &Item { min_bytes: 1, size_bytes: STRING_BYTES, ops: &[Op::Text { nullable: false }] },
        },
        Op::Tags(&[]),
    ],
}];

const SHARE_GROUP_DESCRIBE: &[Program] = &[Program {
    first: 1,
    last: 1,
    flexible: true,
    ops: &[
        Op::Items {
            nullable: false,
            item: &Item { min_bytes: 1, size_bytes: STRING_BYTES, ops: &[Op::Text { nullable: false }] },
        },
        Op::Skip(1),
        Op::Tags(&[]),
    ],
}];

const SHARE_FETCH: &[Program] = &[
    Program {
        first: 1,
        last: 1,
        flexible: true,
        ops: &[
            Op::Text { nullable: true },
            Op::Text { nullable: true },
            Op::Skip(24),
            Op::Items {
                nullable: false,
                item: &Item {
                    min_bytes: 18,
                    size_bytes: size_of::<m::share_fetch_request::FetchTopic>(),
                    ops: &[
                        Op::Skip(16),
                        Op::Items {
                            nullable: false,
                            item: &Item {
                                min_bytes: 6,
                                size_bytes: size_of::<m::share_fetch_request::FetchPartition>(),
                                ops: &[
                                    Op::Skip(4),
                                    Op::Items {
                                        nullable: false,
                                        item: &Item {
                                            min_bytes: 18,
                                            size_bytes: size_of::<m::share_fetch_request::AcknowledgementBatch>(),
                                            ops: &[
                                                Op::Skip(16),
                                                Op::Items {
                                                    nullable: false,
                                                    item: &Item { min_bytes: 1, size_bytes: 1, ops: &[Op::Skip(1)] },
                                                },
                                                Op::Tags(&[]),
                                            ],
                                        },
                                    },
                                    Op::Tags(&[]),
                                ],
                            },
                        },
                        Op::Tags(&[]),
                    ],
                },
            },
            Op::Items {
                nullable: false,
                item: &Item {
                    min_bytes: 18,
                    size_bytes: size_of::<m::share_fetch_request::ForgottenTopic>(),
                    ops: &[
                        Op::Skip(16),
                        Op::Items { nullable: false, item: &Item { min_bytes: 4, size_bytes: 4, ops: &[Op::Skip(4)] } },
                        Op::Tags(&[]),
                    ],
                },
            },
            Op::Tags(&[]),
        ],
    },
    Program {
        first: 2,
        last: 2,
        flexible: true,
        ops: &[
            Op::Text { nullable: true },
            Op::Text { nullable: true },
            Op::Skip(26),
            Op::Items {
                nullable: false,
                item: &Item {
                    min_bytes: 18,
                    size_bytes: size_of::<m::share_fetch_request::FetchTopic>(),
                    ops: &[
                        Op::Skip(16),
                        Op::Items {
                            nullable: false,
                            item: &Item {
                                min_bytes: 6,
                                size_bytes: size_of::<m::share_fetch_request::FetchPartition>(),
                                ops: &[
                                    Op::Skip(4),
                                    Op::Items {
                                        nullable: false,
                                        item: &Item {
                                            min_bytes: 18,
                                            size_bytes: size_of::<m::share_fetch_request::AcknowledgementBatch>(),
                                            ops: &[
                                                Op::Skip(16),
                                                Op::Items {
                                                    nullable: false,
                                                    item: &Item { min_bytes: 1, size_bytes: 1, ops: &[Op::Skip(1)] },
                                                },
                                                Op::Tags(&[]),
                                            ],
                                        },
                                    },
                                    Op::Tags(&[]),
                                ],
                            },
                        },
                        Op::Tags(&[]),
                    ],
                },
            },
            Op::Items {
                nullable: false,
                item: &Item {
                    min_bytes: 18,
                    size_bytes: size_of::<m::share_fetch_request::ForgottenTopic>(),
                    ops: &[
                        Op::Skip(16),
                        Op::Items { nullable: false, item: &Item { min_bytes: 4, size_bytes: 4, ops: &[Op::Skip(4)] } },
                        Op::Tags(&[]),
                    ],
                },
            },
            Op::Tags(&[]),
        ],
    },
];

const SHARE_ACKNOWLEDGE: &[Program] = &[
    Program {
        first: 1,
        last: 1,
        flexible: true,
        ops: &[
            Op::Text { nullable: true },
            Op::Text { nullable: true },
            Op::Skip(4),
            Op::Items {
                nullable: false,
                item: &Item {
                    min_bytes: 18,
                    size_bytes: size_of::<m::share_acknowledge_request::AcknowledgeTopic>(),
                    ops: &[
                        Op::Skip(16),
                        Op::Items {
                            nullable: false,
                            item: &Item {
                                min_bytes: 6,
                                size_bytes: size_of::<m::share_acknowledge_request::AcknowledgePartition>(),
                                ops: &[
                                    Op::Skip(4),
                                    Op::Items {
                                        nullable: false,
                                        item: &Item {
                                            min_bytes: 18,
                                            size_bytes: size_of::<m::share_acknowledge_request::AcknowledgementBatch>(),
                                            ops: &[
                                                Op::Skip(16),
                                                Op::Items {
                                                    nullable: false,
                                                    item: &Item { min_bytes: 1, size_bytes: 1, ops: &[Op::Skip(1)] },
                                                },
                                                Op::Tags(&[]),
                                            ],
                                        },
                                    },
                                    Op::Tags(&[]),
                                ],
                            },
                        },
                        Op::Tags(&[]),
                    ],
                },
            },
            Op::Tags(&[]),
        ],
    },
    Program {
        first: 2,
        last: 2,
        flexible: true,
        ops: &[
            Op::Text { nullable: true },
            Op::Text { nullable: true },
            Op::Skip(5),
            Op::Items {
                nullable: false,
                item: &Item {
                    min_bytes: 18,
                    size_bytes: size_of::<m::share_acknowledge_request::AcknowledgeTopic>(),
                    ops: &[
                        Op::Skip(16),
                        Op::Items {
                            nullable: false,
                            item: &Item {
                                min_bytes: 6,
                                size_bytes: size_of::<m::share_acknowledge_request::AcknowledgePartition>(),
                                ops: &[
                                    Op::Skip(4),
                                    Op::Items {
                                        nullable: false,
                                        item: &Item {
                                            min_bytes: 18,
                                            size_bytes: size_of::<m::share_acknowledge_request::AcknowledgementBatch>(),
                                            ops: &[
                                                Op::Skip(16),
                                                Op::Items {
                                                    nullable: false,
                                                    item: &Item { min_bytes: 1, size_bytes: 1, ops: &[Op::Skip(1)] },
                                                },
                                                Op::Tags(&[]),
                                            ],
                                        },
                                    },
                                    Op::Tags(&[]),
                                ],
                            },
                        },
                        Op::Tags(&[]),
                    ],
                },
            },
            Op::Tags(&[]),
        ],
    },
];

const ADD_RAFT_VOTER: &[Program] = &[
    Program {
        first: 0,
        last: 0,
        flexible: true,
        ops: &[
            Op::Text { nullable: true },
            Op::Skip(24),
            Op::Items {
                nullable: false,
                item: &Item {
                    min_bytes: 5,
                    size_bytes: size_of::<m::add_raft_voter_request::Listener>(),
                    ops: &[Op::Text { nullable: false }, Op::Text { nullable: false }, Op::Skip(2), Op::Tags(&[])],
                },
            },
            Op::Tags(&[]),
        ],
    },
    Program {
        first: 1,
        last: 1,
        flexible: true,
        ops: &[
            Op::Text { nullable: true },
            Op::Skip(24),
            Op::Items {
                nullable: false,
                item: &Item {
                    min_bytes: 5,
                    size_bytes: size_of::<m::add_raft_voter_request::Listener>(),
                    ops: &[Op::Text { nullable: false }, Op::Text { nullable: false }, Op::Skip(2), Op::Tags(&[])],
                },
            },
            Op::Skip(1),
            Op::Tags(&[]),
        ],
    },
];

const REMOVE_RAFT_VOTER: &[Program] =
    &[Program { first: 0, last: 0, flexible: true, ops: &[Op::Text { nullable: true }, Op::Skip(20), Op::Tags(&[])] }];

const UPDATE_RAFT_VOTER: &[Program] = &[Program {
    first: 0,
    last: 0,
    flexible: true,
    ops: &[
        Op::Text { nullable: true },
        Op::Skip(24),
        Op::Items {
            nullable: false,
            item: &Item {
                min_bytes: 5,
                size_bytes: size_of::<m::update_raft_voter_request::Listener>(),
                ops: &[Op::Text { nullable: false }, Op::Text { nullable: false }, Op::Skip(2), Op::Tags(&[])],
            },
        },
        Op::Skip(4),
        Op::Tags(&[]),
        Op::Tags(&[]),
    ],
}];

const INITIALIZE_SHARE_GROUP_STATE: &[Program] = &[Program {
    first: 0,
    last: 0,
    flexible: true,
    ops: &[
        Op::Text { nullable: false },
        Op::Items {
            nullable: false,
            item: &Item {
                min_bytes: 18,
                size_bytes: size_of::<m::initialize_share_group_state_request::InitializeStateData>(),
                ops: &[
                    Op::Skip(16),
                    Op::Items {
                        nullable: false,
                        item: &Item {
                            min_bytes: 17,
                            size_bytes: size_of::<m::initialize_share_group_state_request::PartitionData>(),
                            ops: &[Op::Skip(16), Op::Tags(&[])],
                        },
                    },
                    Op::Tags(&[]),
                ],
            },
        },
        Op::Tags(&[]),
    ],
}];

const READ_SHARE_GROUP_STATE: &[Program] = &[Program {
    first: 0,
    last: 0,
    flexible: true,
    ops: &[
        Op::Text { nullable: false },
        Op::Items {
            nullable: false,
            item: &Item {
                min_bytes: 18,
                size_bytes: size_of::<m::read_share_group_state_request::ReadStateData>(),
                ops: &[
                    Op::Skip(16),
                    Op::Items {
                        nullable: false,
                        item: &Item {
                            min_bytes: 9,
                            size_bytes: size_of::<m::read_share_group_state_request::PartitionData>(),
                            ops: &[Op::Skip(8), Op::Tags(&[])],
                        },
                    },
                    Op::Tags(&[]),
                ],
            },
        },
        Op::Tags(&[]),
    ],
}];

const WRITE_SHARE_GROUP_STATE: &[Program] = &[
    Program {
        first: 0,
        last: 0,
        flexible: true,
        ops: &[
            Op::Text { nullable: false },
            Op::Items {
                nullable: false,
                item: &Item {
                    min_bytes: 18,
                    size_bytes: size_of::<m::write_share_group_state_request::WriteStateData>(),
                    ops: &[
                        Op::Skip(16),
                        Op::Items {
                            nullable: false,
                            item: &Item {
                                min_bytes: 22,
                                size_bytes: size_of::<m::write_share_group_state_request::PartitionData>(),
                                ops: &[
                                    Op::Skip(20),
                                    Op::Items {
                                        nullable: false,
                                        item: &Item {
                                            min_bytes: 20,
                                            size_bytes: size_of::<m::write_share_group_state_request::StateBatch>(),
                                            ops: &[Op::Skip(19), Op::Tags(&[])],
                                        },
                                    },
                                    Op::Tags(&[]),
                                ],
                            },
                        },
                        Op::Tags(&[]),
                    ],
                },
            },
            Op::Tags(&[]),
        ],
    },
    Program {
        first: 1,
        last: 1,
        flexible: true,
        ops: &[
            Op::Text { nullable: false },
            Op::Items {
                nullable: false,
                item: &Item {
                    min_bytes: 18,
                    size_bytes: size_of::<m::write_share_group_state_request::WriteStateData>(),
                    ops: &[
                        Op::Skip(16),
                        Op::Items {
                            nullable: false,
                            item: &Item {
                                min_bytes: 26,
                                size_bytes: size_of::<m::write_share_group_state_request::PartitionData>(),
                                ops: &[
                                    Op::Skip(24),
                                    Op::Items {
                                        nullable: false,
                                        item: &Item {
                                            min_bytes: 20,
                                            size_bytes: size_of::<m::write_share_group_state_request::StateBatch>(),
                                            ops: &[Op::Skip(19), Op::Tags(&[])],
                                        },
                                    },
                                    Op::Tags(&[]),
                                ],
                            },
                        },
                        Op::Tags(&[]),
                    ],
                },
            },
            Op::Tags(&[]),
        ],
    },
];

const DELETE_SHARE_GROUP_STATE: &[Program] = &[Program {
    first: 0,
    last: 0,
    flexible: true,
    ops: &[
        Op::Text { nullable: false },
        Op::Items {
            nullable: false,
            item: &Item {
                min_bytes: 18,
                size_bytes: size_of::<m::delete_share_group_state_request::DeleteStateData>(),
                ops: &[
                    Op::Skip(16),
                    Op::Items {
                        nullable: false,
                        item: &Item {
                            min_bytes: 5,
                            size_bytes: size_of::<m::delete_share_group_state_request::PartitionData>(),
                            ops: &[Op::Skip(4), Op::Tags(&[])],
                        },
                    },
                    Op::Tags(&[]),
                ],
            },
        },
        Op::Tags(&[]),
    ],
}];

const READ_SHARE_GROUP_STATE_SUMMARY: &[Program] = &[Program {
    first: 0,
    last: 1,
    flexible: true,
    ops: &[
        Op::Text { nullable: false },
        Op::Items {
            nullable: false,
            item: &Item {
                min_bytes: 18,
                size_bytes: size_of::<m::read_share_group_state_summary_request::ReadStateSummaryData>(),
                ops: &[
                    Op::Skip(16),
                    Op::Items {
                        nullable: false,
                        item: &Item {
                            min_bytes: 9,
                            size_bytes: size_of::<m::read_share_group_state_summary_request::PartitionData>(),
                            ops: &[Op::Skip(8), Op::Tags(&[])],
                        },
                    },
                    Op::Tags(&[]),
                ],
            },
        },
        Op::Tags(&[]),
    ],
}];

const STREAMS_GROUP_HEARTBEAT: &[Program] = &[Program {
    first: 0,
    last: 0,
    flexible: true,
    ops: &[
        Op::Text { nullable: false },
        Op::Text { nullable: false },
        Op::Skip(8),
        Op::Text { nullable: true },
        Op::Text { nullable: true },
        Op::Skip(4),
        Op::Maybe(&[
            Op::Skip(4),
            Op::Items {
                nullable: false,
                item: &Item {
                    min_bytes: 8,
                    size_bytes: 200,
                    ops: &[
                        Op::Text { nullable: false },
                        Op::Items {
                            nullable: false,
                            item: &Item {
                                min_bytes: 1,
                                size_bytes: STRING_BYTES,
                                ops: &[Op::Text { nullable: false }],
                            },
                        },
                        Op::Items {
                            nullable: false,
                            item: &Item {
                                min_bytes: 1,
                                size_bytes: STRING_BYTES,
                                ops: &[Op::Text { nullable: false }],
                            },
                        },
                        Op::Items {
                            nullable: false,
                            item: &Item {
                                min_bytes: 9,
                                size_bytes: 88,
                                ops: &[
                                    Op::Text { nullable: false },
                                    Op::Skip(6),
                                    Op::Items {
                                        nullable: false,
                                        item: &Item {
                                            min_bytes: 3,
                                            size_bytes: 88,
                                            ops: &[
                                                Op::Text { nullable: false },
                                                Op::Text { nullable: false },
                                                Op::Tags(&[]),
                                            ],
                                        },
                                    },
                                    Op::Tags(&[]),
                                ],
                            },
                        },
                        Op::Items {
                            nullable: false,
                            item: &Item {
                                min_bytes: 1,
                                size_bytes: STRING_BYTES,
                                ops: &[Op::Text { nullable: false }],
                            },
                        },
                        Op::Items {
                            nullable: false,
                            item: &Item {
                                min_bytes: 9,
                                size_bytes: 88,
                                ops: &[
                                    Op::Text { nullable: false },
                                    Op::Skip(6),
                                    Op::Items {
                                        nullable: false,
                                        item: &Item {
                                            min_bytes: 3,
                                            size_bytes: 88,
                                            ops: &[
                                                Op::Text { nullable: false },
                                                Op::Text { nullable: false },
                                                Op::Tags(&[]),
                                            ],
                                        },
                                    },
                                    Op::Tags(&[]),
                                ],
                            },
                        },
                        Op::Items {
                            nullable: false,
                            item: &Item {
                                min_bytes: 4,
                                size_bytes: 96,
                                ops: &[
                                    Op::Items {
                                        nullable: false,
                                        item: &Item { min_bytes: 2, size_bytes: 2, ops: &[Op::Skip(2)] },
                                    },
                                    Op::Items {
                                        nullable: false,
                                        item: &Item { min_bytes: 2, size_bytes: 2, ops: &[Op::Skip(2)] },
                                    },
                                    Op::Items {
                                        nullable: false,
                                        item: &Item { min_bytes: 2, size_bytes: 2, ops: &[Op::Skip(2)] },
                                    },
                                    Op::Tags(&[]),
                                ],
                            },
                        },
                        Op::Tags(&[]),
                    ],
                },
            },
            Op::Tags(&[]),
        ]),
        Op::Items {
            nullable: true,
            item: &Item {
                min_bytes: 3,
                size_bytes: 80,
                ops: &[
                    Op::Text { nullable: false },
                    Op::Items { nullable: false, item: &Item { min_bytes: 4, size_bytes: 4, ops: &[Op::Skip(4)] } },
                    Op::Tags(&[]),
                ],
            },
        },
        Op::Items {
            nullable: true,
            item: &Item {
                min_bytes: 3,
                size_bytes: 80,
                ops: &[
                    Op::Text { nullable: false },
                    Op::Items { nullable: false, item: &Item { min_bytes: 4, size_bytes: 4, ops: &[Op::Skip(4)] } },
                    Op::Tags(&[]),
                ],
            },
        },
        Op::Items {
            nullable: true,
            item: &Item {
                min_bytes: 3,
                size_bytes: 80,
                ops: &[
                    Op::Text { nullable: false },
                    Op::Items { nullable: false, item: &Item { min_bytes: 4, size_bytes: 4, ops: &[Op::Skip(4)] } },
                    Op::Tags(&[]),
                ],
            },
        },
        Op::Text { nullable: true },
        Op::Maybe(&[Op::Text { nullable: false }, Op::Skip(2), Op::Tags(&[])]),
        Op::Items {
            nullable: true,
            item: &Item {
                min_bytes: 3,
                size_bytes: 88,
                ops: &[Op::Text { nullable: false }, Op::Text { nullable: false }, Op::Tags(&[])],
            },
        },
        Op::Items {
            nullable: true,
            item: &Item {
                min_bytes: 14,
                size_bytes: 72,
                ops: &[Op::Text { nullable: false }, Op::Skip(12), Op::Tags(&[])],
            },
        },
        Op::Items {
            nullable: true,
            item: &Item {
                min_bytes: 14,
                size_bytes: 72,
                ops: &[Op::Text { nullable: false }, Op::Skip(12), Op::Tags(&[])],
            },
        },
        Op::Skip(1),
        Op::Tags(&[]),
    ],
}];

const STREAMS_GROUP_DESCRIBE: &[Program] = &[Program {
    first: 0,
    last: 0,
    flexible: true,
    ops: &[
        Op::Items {
            nullable: false,
            item: &Item { min_bytes: 1, size_bytes: STRING_BYTES, ops: &[Op::Text { nullable: false }] },
        },
        Op::Skip(1),
        Op::Tags(&[]),
    ],
}];

const DESCRIBE_SHARE_GROUP_OFFSETS: &[Program] = &[Program {
    first: 0,
    last: 1,
    flexible: true,
    ops: &[
        Op::Items {
            nullable: false,
            item: &Item {
                min_bytes: 3,
                size_bytes: size_of::<m::describe_share_group_offsets_request::DescribeShareGroupOffsetsRequestGroup>(),
                ops: &[
                    Op::Text { nullable: false },
                    Op::Items {
                        nullable: true,
                        item: &Item {
                            min_bytes: 3,
                            size_bytes: size_of::<
                                m::describe_share_group_offsets_request::DescribeShareGroupOffsetsRequestTopic,
                            >(),
                            ops: &[
                                Op::Text { nullable: false },
                                Op::Items {
                                    nullable: false,
                                    item: &Item { min_bytes: 4, size_bytes: 4, ops: &[Op::Skip(4)] },
                                },
                                Op::Tags(&[]),
                            ],
                        },
                    },
                    Op::Tags(&[]),
                ],
            },
        },
        Op::Tags(&[]),
    ],
}];

const ALTER_SHARE_GROUP_OFFSETS: &[Program] = &[Program {
    first: 0,
    last: 0,
    flexible: true,
    ops: &[
        Op::Text { nullable: false },
        Op::Items {
            nullable: false,
            item: &Item {
                min_bytes: 3,
                size_bytes: size_of::<m::alter_share_group_offsets_request::AlterShareGroupOffsetsRequestTopic>(),
                ops: &[
                    Op::Text { nullable: false },
                    Op::Items {
                        nullable: false,
                        item: &Item {
                            min_bytes: 13,
                            size_bytes: size_of::<
                                m::alter_share_group_offsets_request::AlterShareGroupOffsetsRequestPartition,
                            >(),
                            ops: &[Op::Skip(12), Op::Tags(&[])],
                        },
                    },
                    Op::Tags(&[]),
                ],
            },
        },
        Op::Tags(&[]),
    ],
}];

const DELETE_SHARE_GROUP_OFFSETS: &[Program] = &[Program {
    first: 0,
    last: 0,
    flexible: true,
    ops: &[
        Op::Text { nullable: false },
        Op::Items {
            nullable: false,
            item: &Item {
                min_bytes: 2,
                size_bytes: size_of::<m::delete_share_group_offsets_request::DeleteShareGroupOffsetsRequestTopic>(),
                ops: &[Op::Text { nullable: false }, Op::Tags(&[])],
            },
        },
        Op::Tags(&[]),
    ],
}];

/// The rows of an API, by version.
pub const fn programs(api: ApiKey) -> &'static [Program] {
    match api {
        ApiKey::Produce => PRODUCE,
        ApiKey::Fetch => FETCH,
        ApiKey::ListOffsets => LIST_OFFSETS,
        ApiKey::Metadata => METADATA,
        ApiKey::OffsetCommit => OFFSET_COMMIT,
        ApiKey::OffsetFetch => OFFSET_FETCH,
        ApiKey::FindCoordinator => FIND_COORDINATOR,
        ApiKey::JoinGroup => JOIN_GROUP,
        ApiKey::Heartbeat => HEARTBEAT,
        ApiKey::LeaveGroup => LEAVE_GROUP,
        ApiKey::SyncGroup => SYNC_GROUP,
        ApiKey::DescribeGroups => DESCRIBE_GROUPS,
        ApiKey::ListGroups => LIST_GROUPS,
        ApiKey::SaslHandshake => SASL_HANDSHAKE,
        ApiKey::ApiVersions => API_VERSIONS,
        ApiKey::CreateTopics => CREATE_TOPICS,
        ApiKey::DeleteTopics => DELETE_TOPICS,
        ApiKey::DeleteRecords => DELETE_RECORDS,
        ApiKey::InitProducerId => INIT_PRODUCER_ID,
        ApiKey::OffsetForLeaderEpoch => OFFSET_FOR_LEADER_EPOCH,
        ApiKey::AddPartitionsToTxn => ADD_PARTITIONS_TO_TXN,
        ApiKey::AddOffsetsToTxn => ADD_OFFSETS_TO_TXN,
        ApiKey::EndTxn => END_TXN,
        ApiKey::WriteTxnMarkers => WRITE_TXN_MARKERS,
        ApiKey::TxnOffsetCommit => TXN_OFFSET_COMMIT,
        ApiKey::DescribeAcls => DESCRIBE_ACLS,
        ApiKey::CreateAcls => CREATE_ACLS,
        ApiKey::DeleteAcls => DELETE_ACLS,
        ApiKey::DescribeConfigs => DESCRIBE_CONFIGS,
        ApiKey::AlterConfigs => ALTER_CONFIGS,
        ApiKey::AlterReplicaLogDirs => ALTER_REPLICA_LOG_DIRS,
        ApiKey::DescribeLogDirs => DESCRIBE_LOG_DIRS,
        ApiKey::SaslAuthenticate => SASL_AUTHENTICATE,
        ApiKey::CreatePartitions => CREATE_PARTITIONS,
        ApiKey::CreateDelegationToken => CREATE_DELEGATION_TOKEN,
        ApiKey::RenewDelegationToken => RENEW_DELEGATION_TOKEN,
        ApiKey::ExpireDelegationToken => EXPIRE_DELEGATION_TOKEN,
        ApiKey::DescribeDelegationToken => DESCRIBE_DELEGATION_TOKEN,
        ApiKey::DeleteGroups => DELETE_GROUPS,
        ApiKey::ElectLeaders => ELECT_LEADERS,
        ApiKey::IncrementalAlterConfigs => INCREMENTAL_ALTER_CONFIGS,
        ApiKey::AlterPartitionReassignments => ALTER_PARTITION_REASSIGNMENTS,
        ApiKey::ListPartitionReassignments => LIST_PARTITION_REASSIGNMENTS,
        ApiKey::OffsetDelete => OFFSET_DELETE,
        ApiKey::DescribeClientQuotas => DESCRIBE_CLIENT_QUOTAS,
        ApiKey::AlterClientQuotas => ALTER_CLIENT_QUOTAS,
        ApiKey::DescribeUserScramCredentials => DESCRIBE_USER_SCRAM_CREDENTIALS,
        ApiKey::AlterUserScramCredentials => ALTER_USER_SCRAM_CREDENTIALS,
        ApiKey::Vote => VOTE,
        ApiKey::BeginQuorumEpoch => BEGIN_QUORUM_EPOCH,
        ApiKey::EndQuorumEpoch => END_QUORUM_EPOCH,
        ApiKey::DescribeQuorum => DESCRIBE_QUORUM,
        ApiKey::AlterPartition => ALTER_PARTITION,
        ApiKey::UpdateFeatures => UPDATE_FEATURES,
        ApiKey::Envelope => ENVELOPE,
        ApiKey::FetchSnapshot => FETCH_SNAPSHOT,
        ApiKey::DescribeCluster => DESCRIBE_CLUSTER,
        ApiKey::DescribeProducers => DESCRIBE_PRODUCERS,
        ApiKey::BrokerRegistration => BROKER_REGISTRATION,
        ApiKey::BrokerHeartbeat => BROKER_HEARTBEAT,
        ApiKey::UnregisterBroker => UNREGISTER_BROKER,
        ApiKey::DescribeTransactions => DESCRIBE_TRANSACTIONS,
        ApiKey::ListTransactions => LIST_TRANSACTIONS,
        ApiKey::AllocateProducerIds => ALLOCATE_PRODUCER_IDS,
        ApiKey::ConsumerGroupHeartbeat => CONSUMER_GROUP_HEARTBEAT,
        ApiKey::ConsumerGroupDescribe => CONSUMER_GROUP_DESCRIBE,
        ApiKey::ControllerRegistration => CONTROLLER_REGISTRATION,
        ApiKey::GetTelemetrySubscriptions => GET_TELEMETRY_SUBSCRIPTIONS,
        ApiKey::PushTelemetry => PUSH_TELEMETRY,
        ApiKey::AssignReplicasToDirs => ASSIGN_REPLICAS_TO_DIRS,
        ApiKey::ListConfigResources => LIST_CONFIG_RESOURCES,
        ApiKey::DescribeTopicPartitions => DESCRIBE_TOPIC_PARTITIONS,
        ApiKey::ShareGroupHeartbeat => SHARE_GROUP_HEARTBEAT,
        ApiKey::ShareGroupDescribe => SHARE_GROUP_DESCRIBE,
        ApiKey::ShareFetch => SHARE_FETCH,
        ApiKey::ShareAcknowledge => SHARE_ACKNOWLEDGE,
        ApiKey::AddRaftVoter => ADD_RAFT_VOTER,
        ApiKey::RemoveRaftVoter => REMOVE_RAFT_VOTER,
        ApiKey::UpdateRaftVoter => UPDATE_RAFT_VOTER,
        ApiKey::InitializeShareGroupState => INITIALIZE_SHARE_GROUP_STATE,
        ApiKey::ReadShareGroupState => READ_SHARE_GROUP_STATE,
        ApiKey::WriteShareGroupState => WRITE_SHARE_GROUP_STATE,
        ApiKey::DeleteShareGroupState => DELETE_SHARE_GROUP_STATE,
        ApiKey::ReadShareGroupStateSummary => READ_SHARE_GROUP_STATE_SUMMARY,
        ApiKey::StreamsGroupHeartbeat => STREAMS_GROUP_HEARTBEAT,
        ApiKey::StreamsGroupDescribe => STREAMS_GROUP_DESCRIBE,
        ApiKey::DescribeShareGroupOffsets => DESCRIBE_SHARE_GROUP_OFFSETS,
        ApiKey::AlterShareGroupOffsets => ALTER_SHARE_GROUP_OFFSETS,
        ApiKey::DeleteShareGroupOffsets => DELETE_SHARE_GROUP_OFFSETS,
        ApiKey::Quorum => &[],
    }
}
