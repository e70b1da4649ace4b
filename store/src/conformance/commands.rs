//! Commands that are sent again: they take effect once, and their senders can learn what they came to.

use std::sync::Arc;

use uuid::Uuid;

use super::support::{
    append, append_one, assert_event_count, event, events, fresh_id, patterned, read_behind,
    read_whole, refused, stream, submit, version_of,
};
use crate::append::Append;
use crate::command::{COMMAND_REPLY_BYTES_MAX, CommandReply, CommandStamp, RecordedCommand};
use crate::error::{AppendError, InvalidAppend};
use crate::event::Codec;
use crate::event_store::EventStoreExt;
use crate::position::{ExpectedVersion, Position, Version};
use crate::read_model::Store;

fn stamp(id: Uuid, content: u8) -> CommandStamp {
    CommandStamp {
        id,
        fingerprint: [content; 16],
        reply: CommandReply {
            codec: Codec::Raw,
            bytes: vec![content; usize::from(content)].into(),
        },
    }
}

async fn recorded<S: Store + ?Sized>(store: &Arc<S>, id: Uuid) -> Option<RecordedCommand> {
    store
        .command(id)
        .await
        .expect("the command must be readable")
}

fn assert_duplicate(error: &AppendError, id: Uuid) {
    match error {
        AppendError::Duplicate { command_id } => assert_eq!(*command_id, id),
        other => panic!("it must be a duplicate, not: {other}"),
    }
}

/// Sent again, a command records nothing, and its sender finds what the first one came to.
pub async fn a_retried_command_is_recorded_once_and_is_told_so<S: Store + ?Sized>(store: &Arc<S>) {
    let (account, id) = (stream(1), fresh_id());
    let posting =
        || Append::to(account.clone(), ExpectedVersion::Any, events(2)).answering(stamp(id, 7));
    append_one(store, &account).await;
    assert_eq!(recorded(store, id).await, None);
    let first = append(store, posting()).await;
    assert_eq!((first.position, first.event_count), (Position::new(3), 2));
    for _ in 0..3 {
        assert_duplicate(&refused(store, posting()).await, id);
    }
    append_one(store, &account).await;
    let expected = RecordedCommand {
        id,
        fingerprint: [7; 16],
        reply: stamp(id, 7).reply,
        position: first.position,
        event_count: 2,
        recorded_at: Some(first.recorded_at),
    };
    assert_eq!(recorded(store, id).await, Some(expected));
    assert_eq!(recorded(store, fresh_id()).await, None);
    assert_event_count(store, 4).await;
}

/// The store compares ids only; the fingerprint that it keeps tells a retry from another command.
pub async fn another_command_under_the_same_id_is_told_by_its_fingerprint<S: Store + ?Sized>(
    store: &Arc<S>,
) {
    let (account, id) = (stream(1), fresh_id());
    let posting = |content| {
        Append::to(account.clone(), ExpectedVersion::Any, [event()]).answering(stamp(id, content))
    };
    append(store, posting(1)).await;
    assert_duplicate(&refused(store, posting(2)).await, id);
    let found = recorded(store, id)
        .await
        .expect("the first one is recorded");
    assert_eq!(
        (found.fingerprint, found.reply),
        ([1; 16], stamp(id, 1).reply)
    );
    assert_event_count(store, 1).await;
}

/// A rejection is an outcome, too: it is recorded although there are no events.
pub async fn a_command_without_events_is_remembered<S: Store + ?Sized>(store: &Arc<S>) {
    let account = stream(1);
    for before in 0..3 {
        let id = fresh_id();
        let rejection = || {
            Append::check(
                account.clone(),
                ExpectedVersion::Exact(Version::new(before)),
            )
            .answering(stamp(id, 9))
        };
        let answer = append(store, rejection()).await;
        assert_eq!(
            (answer.position, answer.event_count),
            (Position::new(before), 0)
        );
        assert_eq!(answer.versions.as_slice(), [Version::new(before)]);
        assert_duplicate(&refused(store, rejection()).await, id);
        let found = recorded(store, id).await.expect("it is recorded");
        assert_eq!(
            (found.position, found.event_count),
            (Position::new(before), 0)
        );
        assert_eq!(
            (found.fingerprint, found.reply),
            ([9; 16], stamp(id, 9).reply)
        );
        assert_event_count(store, before).await;
        append_one(store, &account).await;
    }
    let unmet = Append::check(account.clone(), ExpectedVersion::NoStream);
    let unmet_id = fresh_id();
    let error = refused(store, unmet.answering(stamp(unmet_id, 1))).await;
    assert!(matches!(error, AppendError::Conflict { .. }), "{error}");
    assert_eq!(recorded(store, unmet_id).await, None);
}

/// A retry expects the version that the command was decided at, which the command itself has moved.
pub async fn a_duplicate_is_told_even_where_the_version_has_moved<S: Store + ?Sized>(
    store: &Arc<S>,
) {
    let (account, id) = (stream(1), fresh_id());
    let opening = || {
        Append::to(account.clone(), ExpectedVersion::NoStream, [event()]).answering(stamp(id, 1))
    };
    append(store, opening()).await;
    assert_duplicate(&refused(store, opening()).await, id);
    append_one(store, &account).await;
    assert_duplicate(&refused(store, opening()).await, id);
    let elsewhere = Append::to(stream(2), ExpectedVersion::StreamExists, [event()]);
    assert_duplicate(&refused(store, elsewhere.answering(stamp(id, 1))).await, id);
    assert_event_count(store, 2).await;
}

/// A conflict is no outcome: the same command, decided again, is recorded.
pub async fn a_command_that_was_refused_can_be_sent_again<S: Store + ?Sized>(store: &Arc<S>) {
    let (account, id) = (stream(1), fresh_id());
    let posting =
        |expected| Append::to(account.clone(), expected, [event()]).answering(stamp(id, 3));
    let error = refused(store, posting(ExpectedVersion::StreamExists)).await;
    assert!(matches!(error, AppendError::Conflict { .. }), "{error}");
    assert_eq!(recorded(store, id).await, None);
    append(store, posting(ExpectedVersion::NoStream)).await;
    assert_duplicate(&refused(store, posting(ExpectedVersion::Any)).await, id);
    assert_event_count(store, 1).await;
}

/// However many send one command at once, it takes effect once, and all find the same outcome.
pub async fn many_senders_of_one_command_record_it_once<S: Store + ?Sized>(store: &Arc<S>) {
    for _ in 0..8 {
        let (account, id) = (stream(fresh_id()), fresh_id());
        let senders: Vec<_> = (0..64)
            .map(|_| {
                let (store, account) = (Arc::clone(store), account.clone());
                tokio::spawn(async move {
                    let posting = Append::to(account, ExpectedVersion::Any, events(2));
                    let outcome = store.append(posting.answering(stamp(id, 5))).await;
                    // Whoever is answered finds it.
                    let found = recorded(&store, id).await.expect("it is recorded");
                    (outcome, found)
                })
            })
            .collect();
        let mut taken = Vec::new();
        let mut found = Vec::new();
        for sender in senders {
            let (outcome, recorded) = sender.await.expect("no sender panics");
            match outcome {
                Ok(appended) => taken.push(appended),
                Err(error) => assert_duplicate(&error, id),
            }
            found.push(recorded);
        }
        assert_eq!(
            taken.len(),
            1,
            "the command took effect {} times",
            taken.len()
        );
        assert!(
            found
                .iter()
                .all(|found| found.position == taken[0].position)
        );
        assert_eq!(version_of(store, &account).await, 2);
    }
    assert_event_count(store, 16).await;
}

/// What is kept for commands is not among the events, on whatever page.
pub async fn only_events_are_read_between_commands<S: Store + ?Sized>(store: &Arc<S>) {
    let account = stream(1);
    let mut ids = Vec::new();
    for number in 0..40_u8 {
        let id = fresh_id();
        ids.push(id);
        let count = usize::from(number % 4);
        let entry = Append::to(account.clone(), ExpectedVersion::Any, events(count));
        append(store, entry.answering(stamp(id, number))).await;
        if number % 5 == 0 {
            append_one(store, &account).await;
        }
    }
    assert_event_count(store, 68).await;
    for after in 0..=68 {
        let events = read_behind(store, Position::new(after), 3).await;
        let positions: Vec<_> = events.iter().map(|event| event.position.get()).collect();
        assert_eq!(positions, (after + 1..=68).collect::<Vec<_>>());
    }
    assert_eq!(read_whole(store, &account).await.len(), 68);
    for (id, number) in ids.into_iter().zip(0..) {
        let found = recorded(store, id).await.expect("it is recorded");
        assert_eq!(found.reply, stamp(id, number).reply);
        assert_eq!(found.event_count, u32::from(number % 4));
    }
}

/// The answer to a duplicate is not given before the first one is settled: it would say that something is recorded which
/// may yet fail.
pub async fn a_duplicate_is_answered_when_the_first_can_be_found<S: Store + ?Sized>(
    store: &Arc<S>,
) {
    let account = stream(1);
    for number in 0..20 {
        let id = fresh_id();
        let posting =
            || Append::to(account.clone(), ExpectedVersion::Any, [event()]).answering(stamp(id, 2));
        let (first, second) = (submit(store, posting()), submit(store, posting()));
        let error = second.outcome().await.expect_err("it was sent before");
        assert_duplicate(&error, id);
        let found = recorded(store, id)
            .await
            .expect("what was told must be durable");
        assert_eq!(found.position, Position::new(number + 1));
        assert!(store.head() >= found.position);
        assert_eq!(first.success().await.position, found.position);
    }
}

/// One command over several streams is one outcome.
pub async fn a_command_over_several_streams_is_recorded_as_one<S: Store + ?Sized>(store: &Arc<S>) {
    let (debit, credit, id) = (stream("debit"), stream("credit"), fresh_id());
    let transfer = || {
        Append::to(debit.clone(), ExpectedVersion::NoStream, [event()])
            .and(credit.clone(), ExpectedVersion::NoStream, events(2))
            .answering(stamp(id, 4))
    };
    let answer = append(store, transfer()).await;
    assert_duplicate(&refused(store, transfer()).await, id);
    let found = recorded(store, id).await.expect("it is recorded");
    assert_eq!((found.position, found.event_count), (answer.position, 3));
    assert_eq!(version_of(store, &debit).await, 1);
    assert_eq!(version_of(store, &credit).await, 2);
}

/// The reply comes back whole up to the limit, and is refused above it.
pub async fn a_reply_is_kept_up_to_its_limit<S: Store + ?Sized>(store: &Arc<S>) {
    for bytes in [0, 1, 4_096, COMMAND_REPLY_BYTES_MAX] {
        let reply = CommandReply {
            codec: Codec::Json,
            bytes: patterned(bytes).into(),
        };
        let command = CommandStamp {
            reply: reply.clone(),
            ..stamp(fresh_id(), 1)
        };
        let entry = Append::to(stream(1), ExpectedVersion::Any, events(bytes % 2));
        append(store, entry.answering(command.clone())).await;
        assert_eq!(
            recorded(store, command.id).await.map(|found| found.reply),
            Some(reply)
        );
    }
    let mut command = stamp(fresh_id(), 1);
    command.reply.bytes = patterned(COMMAND_REPLY_BYTES_MAX + 1).into();
    let entry = Append::to(stream(1), ExpectedVersion::Any, [event()]);
    match refused(store, entry.answering(command)).await {
        AppendError::Invalid(InvalidAppend::ReplyTooLarge(bytes)) => {
            assert_eq!(bytes, COMMAND_REPLY_BYTES_MAX + 1);
        }
        other => panic!("it must be refused for its size, not: {other}"),
    }
}
