//! The attributes of the tables.

/// Names attributes, and lists them.
macro_rules! attributes {
    ($($(#[$doc:meta])* $constant:ident = $name:literal;)*) => {
        $($(#[$doc])* pub const $constant: &str = $name;)*

        /// Every attribute of the tables.
        pub const ATTRIBUTES: &[&str] = &[$($constant),*];
    };
}

attributes! {
    /// Partition key.
    PK = "pk";
    /// Sort key.
    SK = "sk";
    /// Partition key of [`super::BY_PROJECT`].
    GPK = "gpk";
    /// Sort key of all indexes of images and memberships.
    GSK = "gsk";
    /// Partition key of [`super::BY_VISIBILITY`].
    VPK = "vpk";
    /// Partition key of [`super::BY_NAME`].
    NPK = "npk";
    /// Partition key of [`super::BY_OPEN_NAME`].
    ONPK = "onpk";
    /// Partition key of [`super::BY_DUE`].
    DPK = "dpk";
    /// Sort key of [`super::BY_DUE`].
    DSK = "dsk";
    /// Partition key of [`super::BY_OWNER`].
    OPK = "opk";
    /// Sort key of [`super::BY_OWNER`].
    OSK = "osk";
    /// The expiry of an item (DynamoDB's TTL), in seconds since 1970.
    EXPIRES_AT = "expires_at";
    /// Marks a tombstone.
    GONE = "gone";
    /// The id of the last operation applied.
    OP = "op";
    /// The id of the operation that created a membership.
    ADDED = "added";
    /// The id of the newest share of a membership.
    SHARED = "shared";
    /// The status that the newest share gives to a membership, unless it is pending.
    SHARED_AS = "shared_as";
    /// The id of the removal that ended the membership before this one, if it arrived late.
    ENDED = "ended";
    /// The number of members of an image.
    MEMBER_COUNT = "member_count";
    /// Another number after each addition and removal of a member of an image.
    MEMBER_VERSION = "member_version";
    /// The id of the newest request that declared the members of an image.
    DECLARED = "declared";
    /// An attribute of images, called as in the API.
    OWNER = "owner";
    /// See [`OWNER`].
    VISIBILITY = "visibility";
    /// See [`OWNER`].
    NAME = "name";
    /// The status of an image or a membership.
    STATUS = "status";
    /// See [`OWNER`].
    PROTECTED = "protected";
    /// See [`OWNER`].
    OS_HIDDEN = "os_hidden";
    /// See [`OWNER`].
    MIN_RAM = "min_ram";
    /// See [`OWNER`].
    MIN_DISK = "min_disk";
    /// See [`OWNER`].
    CONTAINER_FORMAT = "container_format";
    /// See [`OWNER`].
    DISK_FORMAT = "disk_format";
    /// See [`OWNER`].
    SIZE = "size";
    /// See [`OWNER`].
    VIRTUAL_SIZE = "virtual_size";
    /// See [`OWNER`].
    CHECKSUM = "checksum";
    /// See [`OWNER`].
    OS_HASH_ALGO = "os_hash_algo";
    /// See [`OWNER`].
    OS_HASH_VALUE = "os_hash_value";
    /// See [`OWNER`].
    TAGS = "tags";
    /// Marks an image whose tags and properties are in an item of their own.
    TEXTS = "texts";
    /// An image's projection; of a membership, that of its image, or the image's last operation alone if
    /// there is no room for more.
    PROJECTION = "projection";
    /// The value that [`NPK`] has while a membership is accepted.
    NAMED = "named";
    /// Until when lists do not rely on the indexes for a project's images.
    UNTIL = "until";
    /// Fingerprints of the tags and properties of an image that has them in an item of their own.
    SKETCH = "sketch";
    /// An upper estimate of such an image's size in an answer, in bytes.
    WEIGHT = "weight";
    /// Custom properties of an image, one map.
    PROPERTIES = "properties";
    /// When the record was created.
    CREATED_AT = "created_at";
    /// When the record last changed.
    UPDATED_AT = "updated_at";
    /// When a chunk of a job was last finished; not [`UPDATED_AT`], which the indexes carry.
    ADVANCED_AT = "advanced_at";
    /// The vault of a membership.
    VAULT_ID = "vault_id";
    /// The project of a job or an access key.
    PROJECT = "project";
    /// The kind of a job.
    KIND = "kind";
    /// The task of a job, as JSON.
    TASK = "task";
    /// Entries of a job.
    TOTAL = "total";
    /// Entries of a job that end memberships, if it replaces members.
    REMOVES = "removes";
    /// Rows of each chunk of a job but the last.
    CHUNK_ROWS = "chunk_rows";
    /// Entries of chunks that are not finished; 0 as soon as the job no longer counts as open. Jobs of releases up to
    /// 0.2.0 have none, and are not counted.
    REMAINING = "remaining";
    /// Jobs of a project that have not ended.
    OPEN_JOBS = "open_jobs";
    /// Entries of these jobs.
    WAITING = "waiting";
    /// Images of a project.
    IMAGES = "images";
    /// Entries that succeeded.
    SUCCEEDED = "succeeded";
    /// Entries that failed.
    FAILED = "failed";
    /// Chunks with failed entries, and the code of the first of each.
    ERRORS = "errors";
    /// When a job ends at the latest.
    DEADLINE = "deadline";
    /// A page of a job's entries, as JSON.
    ENTRIES = "entries";
    /// The rows of a chunk that failed or changed nothing, as JSON.
    OUTCOMES = "outcomes";
    /// Whether an admin requested a job.
    ADMIN = "admin";
    /// The id of the request that started a job.
    REQUEST_ID = "request_id";
    /// The digest of the request that an idempotency key is bound to.
    DIGEST = "digest";
    /// The job that an idempotency key is bound to.
    JOB_ID = "job_id";
    /// The rules of a project about trusted owners, as JSON.
    RULES = "rules";
    /// The classes of projects with such rules, a set of numbers.
    CLASSES = "classes";
    /// Who last changed a record: see [`crate::domain::actor::Actor::stored`]. Of an image it leaves out changes
    /// of its members.
    BY = "by";
    /// Who declared the members of an image last.
    DECLARED_BY = "declared_by";
    /// The version of a record, if it is not the first: see `store::reader::VERSION`.
    VERSION = "v";
    /// The secret of an access key.
    SECRET = "secret";
    /// The user of an access key, who is recorded with the changes that are signed with it.
    USER = "user";
    /// The roles of an access key, a list.
    ROLES = "roles";
    /// Whether an access key is disabled. A key without the attribute is enabled.
    DISABLED = "disabled";
    /// Who disabled an access key.
    DISABLED_BY = "disabled_by";
    /// Who created an access key.
    CREATED_BY = "created_by";
    /// The day on which an access key was last used.
    LAST_USED = "last_used";
    /// The ids of the keys that a user has for a project, a set.
    ACCESS_KEYS = "access_keys";
}
