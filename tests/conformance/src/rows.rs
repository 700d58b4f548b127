//! The rows of `mappings.md`: one for each guarantee and limit.
//!
//! Each row has at least one trial, and each trial a row; a test holds both. What a provider does
//! to keep a guarantee is in its `Profile::notes`, under the row's id.

/// A guarantee or a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// The id, by which trials and profiles name it.
    pub id: &'static str,
    /// The guarantee in one sentence.
    pub guarantee: &'static str,
}

const fn row(id: &'static str, guarantee: &'static str) -> Row {
    Row { id, guarantee }
}

/// All rows, by trait.
pub const ROWS: &[Row] = &[
    row("KV-1", "A value is returned bit for bit, from 0 bytes to the limit"),
    row("KV-2", "A writer reads its own earlier writes"),
    row("KV-3", "A key is any UTF-8; keys that look alike are different"),
    row("KV-4", "`Create` on an existing key is `AlreadyExists`, and one of many racing creates wins"),
    row("KV-5", "`Update` and a delete of a version succeed on that version only, else `Conflict`"),
    row("KV-6", "A version is unique for each write, also after delete and create"),
    row("KV-7", "A delete of an absent key is `Ok`"),
    row("KV-8", "`get_many` returns the items in the order of the keys, `None` for a missing key, and loses none"),
    row("KV-9", "A query returns one partition in UTF-8 byte order, ascending or descending"),
    row("KV-10", "A query selects a prefix or a range of the sort key"),
    row("KV-11", "A query pages by limit and cursor, exactly, also while others write"),
    row("KV-12", "A scan returns everything once in disjoint segments"),
    row("KV-13", "A transaction of one partition happens whole or not at all"),
    row("KV-14", "A transaction takes up to 100 writes and 2 MB, each key once"),
    row("KV-15", "`add` is exact under contention and within its limits"),
    row("KV-16", "An expired item is never read and counts as absent in every condition"),
    row("KV-17", "`update` and `modify` read, change and write back, and lose no race"),
    row("KV-18", "Keys and items over the limit are `TooLarge`, and nothing is written"),
    row(
        "KV-19",
        "A typed value that cannot be read is `InvalidInput` and stays stored; floats that are not finite and values \
         deeper than 127 are not written",
    ),
    row("KV-20", "What was not declared is `PermissionDenied`"),
    row("KV-21", "A write whose caller goes away happens whole or not at all"),
    row("KV-22", "Data outlives the process"),
    row("KV-23", "Tables whose names look alike are different; a wrong name is `Config` at first use"),
    row("KV-24", "An error names its operation and table, and never shows a value"),
    row(
        "KV-25",
        "Sort keys that begin with U+10FFFF U+10FFFF are reserved for isobar: apps cannot use them, and do not see them",
    ),
    row(
        "KV-26",
        "A handler of a table's writes receives the key of every written item at least once, unless it is deleted before",
    ),
    row(
        "KV-27",
        "`put_many` writes any number of items, with one result for each in their order; none depends on another",
    ),
    row("BL-1", "An object is returned bit for bit, from 0 bytes to many parts"),
    row("BL-2", "A key is any UTF-8; keys that look alike are different, and none reaches outside"),
    row("BL-3", "`Create` on an existing key is `AlreadyExists`, and one of many racing creates wins"),
    row("BL-4", "`Update` succeeds on the version that is there only, else `Conflict`"),
    row("BL-5", "A write is seen whole or not at all"),
    row("BL-6", "Content type, cache control and metadata are returned as they were written"),
    row("BL-7", "A range returns just its bytes; one past the end is `InvalidInput`"),
    row("BL-8", "A list is in UTF-8 byte order, by any prefix"),
    row("BL-9", "A list groups by `/`"),
    row("BL-10", "A list pages by limit and cursor, also while others write"),
    row("BL-11", "A delete of an absent object is `Ok`; a read of it `NotFound`"),
    row("BL-12", "A copy keeps content, type and metadata, and with `Create` does not overwrite"),
    row("BL-13", "A signed URL allows one operation on one object until it expires"),
    row("BL-14", "Every write and delete sends an object event"),
    row("BL-15", "An option that cannot be honoured is an error, never ignored"),
    row("BL-16", "`object_store()` hands out the same objects, under the same access"),
    row("BL-17", "Keys and metadata over the limit are refused, and nothing is written"),
    row("BL-18", "What was not declared is `PermissionDenied`"),
    row("BL-19", "A version is unique for each write of a key"),
    row("BL-20", "Data outlives the process"),
    row("BL-21", "Buckets whose names look alike are different; a wrong name is `Config` at first use"),
    row("BL-22", "An error names its operation and bucket, and never shows content or a signature"),
    row("BL-23", "An object is served over HTTP: HEAD, one range, conditions, and a redirect where it is too large"),
    row("BL-24", "Object events are filtered by the app's key, each trigger with its own attempts and dead letters"),
    row("PS-1", "A published message is delivered, with body, attributes and id as they were"),
    row(
        "PS-2",
        "An `Err` or a panic delivers again, with the attempt counted and a growing wait; but an isobar `Error` of kind \
         `InvalidInput`, `TooLarge` or `Unsupported` and origin `App` or `Request`, also among the sources of another \
         error, is a `Reject`",
    ),
    row("PS-3", "`Retry` waits at least as long as it says"),
    row("PS-4", "After the declared attempts a message is a dead letter with its reason"),
    row("PS-5", "`Reject`, and an `Err` that counts as one, make a dead letter immediately, with the reason"),
    row("PS-6", "Each message of a batch has its own outcome"),
    row("PS-7", "Messages of one ordering key are delivered one at a time, in order"),
    row("PS-8", "A batch is published with one result for each message"),
    row("PS-9", "Messages over the limit, and names and keys out of the rules, are refused"),
    row("PS-10", "The trace of the publisher arrives with the message"),
    row("PS-11", "A body that is not of the expected type is a dead letter, and its neighbours are handled"),
    row("PS-12", "Dead letters can be put back, and are delivered again"),
    row("PS-13", "What was not declared is `PermissionDenied`"),
    row("PS-14", "Messages and their attempts outlive the process"),
    row(
        "PS-15",
        "Each subscription of a topic receives every message, and has its own attempts, dead letters and redrive",
    ),
    row("PS-16", "A delayed message is not delivered before its time, and the delay counts no attempt"),
    row(
        "PS-17",
        "A tool leases, deletes and adds the waiting messages and the dead letters of a queue as they were, between \
         providers too",
    ),
    row("FN-1", "An HTTP request reaches the app as it was sent, and the response the client"),
    row("FN-2", "Bodies stream; those over the limit are 413"),
    row("FN-3", "A handler that panics or fails fails its own invocation only"),
    row("FN-4", "A direct call takes and answers typed JSON; a bad request is `InvalidInput` with its position"),
    row("FN-5", "A schedule runs its handler, and reports its failure"),
    row("FN-6", "The context contains invocation, deadline, attempt, trace and provider"),
    row("FN-7", "An app that is declared wrongly does not start, and the error names all problems"),
    row("FN-8", "An event without a handler is an error that names it"),
    row("FN-9", "The manifest contains what the app declared"),
    row(
        "FN-10",
        "A response that HTTP does not allow is a 500 before the first byte, or sent without what HTTP forbids",
    ),
    row("FN-11", "A request that some host cannot take is refused on all of them, with a hint"),
    row(
        "FN-12",
        "An error, a `Problem` and a rejected extractor answer over HTTP in one form, by kind and origin or by their \
         status; every answer has an `x-request-id`",
    ),
    row("FN-13", "Each handler of an app with a state is given a clone of it"),
    row("FN-14", "Layers run once around each delivery on every trigger, the first added outermost"),
    row("FN-15", "A module brings its routes below its prefix, its triggers and its layers"),
    row("ON-1", "Of all callers with one key, one runs the work, and all get its result"),
    row("ON-2", "A result is known for its time to live, and an error frees the key"),
    row(
        "ON-3",
        "A try that ends at any point has no lost effect: its key runs the work again or is refused, as the app chose",
    ),
    row("ON-4", "A try has a lease by the time that is left to it, at least a minute if that is unknown, on any clock"),
    row("ON-5", "A key with another input is `InvalidInput`, on every path"),
    row(
        "ON-6",
        "A result that cannot be stored is returned once, and later is `TooLarge`; a write whose response is lost is \
         recognized",
    ),
    row("ON-7", "A message whose work runs once has one effect, and waits for a try that is in progress"),
    row(
        "ON-8",
        "A request that is repeated with its `Idempotency-Key` is answered with the first answer, to the same client only",
    ),
    row(
        "ON-9",
        "A request without a key or with a wrong one is 400, another request with the same key 422, one in progress 409",
    ),
    row("SE-1", "A secret and a configuration are read as they were set, less one line break at the end"),
    row("SE-2", "A rotated value is read after 5 minutes, and the old one before"),
    row("SE-3", "A missing value is `Config` with the variable and the command that set it; an optional one is `None`"),
    row("SE-4", "A configuration that is not of its type is `Config` with the field"),
    row("SE-5", "A wrong name, and a secret and a configuration of one name, are `Config` at start"),
    row("SE-6", "What was not declared is `PermissionDenied`"),
    row("SE-7", "No error, log or `Debug` contains a value"),
    row("SE-8", "A value over the limit is `TooLarge`"),
];

/// The row with this id.
pub fn find(id: &str) -> Option<&'static Row> {
    ROWS.iter().find(|row| row.id == id)
}
