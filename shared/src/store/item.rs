//! Converts records to items and back. A value that does not parse is an error that names the key,
//! never a default.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;

use super::keys::{self as at, Item, n, s};
use super::reader::Read;
pub(super) use super::reader::{Head, Reader};
use super::table::Known;
use crate::domain::actor::Actor;
use crate::domain::error::ApiError;
use crate::domain::id::{OperationId, ProjectId};
use crate::domain::image::Image;
use crate::domain::image::fingerprints::Fingerprints;
use crate::domain::member::{Member, MemberStatus, Membership};
use crate::domain::time::Timestamp;
use crate::domain::visibility::Visibility;

/// Parses the item of an image; `None` for a tombstone.
pub(super) fn image(item: &Item) -> Read<Option<Image>> {
    let read = Reader::of(item)?;
    if read.is_gone() {
        return Ok(None);
    }
    let mut image = match projected(&read)? {
        Some(image) => image,
        None => image_of_attributes(&read)?,
    };
    image.member_count = read.member_count()?;
    image.member_version = read.optional_number(at::MEMBER_VERSION)?.unwrap_or(0);
    image.declared = read.optional_id(at::DECLARED)?;
    image.by = read.actor()?;
    Ok(Some(image))
}

/// Parses the projection in an item or an index row, if it holds more than an operation.
pub(super) fn projected(read: &Reader<'_>) -> Read<Option<Image>> {
    let Some(text) = read.optional_text(at::PROJECTION)? else {
        return Ok(None);
    };
    if !text.contains('{') {
        return Ok(None);
    }
    let created_at = read.parsed(at::GSK, |gsk| Timestamp::parse(gsk.split_once('#')?.0))?;
    let image = Image::of_projection(text, read.image_id()?, created_at);
    image.map(Some).ok_or_else(|| read.corrupt(at::PROJECTION))
}

/// The fingerprints in the item or the index row of an image, if its texts are apart.
pub(super) fn fingerprints(read: &Reader<'_>) -> Read<Option<Fingerprints>> {
    let Some(bytes) = read.optional_bytes(at::SKETCH)? else {
        return Ok(None);
    };
    let fingerprints = Fingerprints::of_bytes(bytes.to_vec());
    fingerprints
        .map(Some)
        .ok_or_else(|| read.corrupt(at::SKETCH))
}

/// Parses the item of an image without a projection, as releases up to 0.1.0 wrote it. As in a
/// projection, what changes with the image's members is left out.
fn image_of_attributes(read: &Reader<'_>) -> Read<Image> {
    let time = |name| read.parsed(name, Timestamp::parse);
    let owned = |name| Ok::<_, ApiError>(read.optional_text(name)?.map(str::to_owned));
    let (tags, properties) = texts(read)?;
    Ok(Image {
        id: read.image_id()?,
        owner: read.parsed(at::OWNER, |text| ProjectId::parse(text).ok())?,
        visibility: read.parsed(at::VISIBILITY, Visibility::parse)?,
        name: owned(at::NAME)?,
        status: read.text(at::STATUS)?.to_owned(),
        protected: read.flag(at::PROTECTED)?,
        os_hidden: read.flag(at::OS_HIDDEN)?,
        min_ram: read.number(at::MIN_RAM)?,
        min_disk: read.number(at::MIN_DISK)?,
        container_format: owned(at::CONTAINER_FORMAT)?,
        disk_format: owned(at::DISK_FORMAT)?,
        size: read.optional_number(at::SIZE)?,
        virtual_size: read.optional_number(at::VIRTUAL_SIZE)?,
        checksum: owned(at::CHECKSUM)?,
        os_hash_algo: owned(at::OS_HASH_ALGO)?,
        os_hash_value: owned(at::OS_HASH_VALUE)?,
        tags,
        properties,
        created_at: time(at::CREATED_AT)?,
        updated_at: time(at::UPDATED_AT)?,
        member_count: 0,
        member_version: 0,
        declared: None,
        op: read.parsed(at::OP, OperationId::parse)?,
        by: None,
        incomplete: read.has(at::TEXTS),
    })
}

/// Parses the tags and properties of an image's item or of the item of its texts.
pub(super) fn texts(read: &Reader<'_>) -> Read<(Vec<String>, BTreeMap<String, String>)> {
    let properties = read.text_map(at::PROPERTIES)?.into_iter();
    let properties = properties
        .map(|(key, value)| (property_name(key), value))
        .collect();
    Ok((read.texts(at::TAGS)?, properties))
}

/// Completes an image with the item of its texts.
pub(super) fn complete(image: &mut Image, item: &Item) -> Read<()> {
    (image.tags, image.properties) = texts(&Reader::of(item)?)?;
    image.incomplete = false;
    Ok(())
}

/// The key of a custom property in an image's map. DynamoDB allows no empty key, so names that are
/// empty or have only NULs get one NUL more.
fn property_key(name: &str) -> String {
    if name.chars().all(|c| c == '\0') {
        return format!("{name}\0");
    }
    name.to_owned()
}

/// The inverse of [`property_key`].
fn property_name(mut key: String) -> String {
    if key.chars().all(|c| c == '\0') {
        key.pop();
    }
    key
}

/// Builds the item of an image's texts, if they are long.
pub(super) fn texts_item(image: &Image) -> Option<Item> {
    image.has_texts_apart().then(|| {
        let mut item = at::texts_key(image.id, image.op);
        item.extend(text_attributes(&image.tags, image.properties.iter()));
        item
    })
}

fn text_attributes<'a>(
    tags: &[String],
    properties: impl Iterator<Item = (&'a String, &'a String)>,
) -> [(String, AttributeValue); 2] {
    let tags = tags.iter().map(s).collect();
    let properties = properties
        .map(|(name, value)| (property_key(name), s(value)))
        .collect();
    [
        (at::TAGS.to_owned(), AttributeValue::L(tags)),
        (at::PROPERTIES.to_owned(), AttributeValue::M(properties)),
    ]
}

/// Builds the attributes of an image's own item, without its key and its count of members.
pub(super) fn image_attributes(image: &Image) -> Item {
    let gsk = at::image_gsk(image.created_at, image.id);
    let mut item = Item::from([
        (at::GPK.to_owned(), s(at::owner_gpk(&image.owner))),
        (at::GSK.to_owned(), s(gsk)),
        (at::VPK.to_owned(), s(at::visibility_vpk(image.visibility))),
        (at::OWNER.to_owned(), s(image.owner.as_str())),
        (at::VISIBILITY.to_owned(), s(image.visibility.as_str())),
        (
            at::PROTECTED.to_owned(),
            AttributeValue::Bool(image.protected),
        ),
        (at::OP.to_owned(), s(image.op.to_string())),
        (at::PROJECTION.to_owned(), s(image.projection())),
    ]);
    item.extend(by(image.by.as_ref()));
    if let Some(name) = &image.name {
        item.insert(at::NPK.to_owned(), s(at::owner_npk(&image.owner, name)));
        if image.visibility.is_open() {
            item.insert(
                at::ONPK.to_owned(),
                s(at::open_onpk(image.visibility, name)),
            );
        }
    }
    if image.has_texts_apart() {
        let fingerprints = AttributeValue::B(Blob::new(Fingerprints::of(image).bytes()));
        item.insert(at::SKETCH.to_owned(), fingerprints);
        item.insert(at::WEIGHT.to_owned(), n(image.weight()));
    }
    item
}

/// The attribute that says who wrote a record.
pub(super) fn by(actor: Option<&Actor>) -> Option<(String, AttributeValue)> {
    actor.map(|actor| (at::BY.to_owned(), s(actor.stored())))
}

/// The attributes of an image that releases up to 0.1.0 wrote and that its projection holds now.
pub(super) const REPLACED: [&str; 17] = [
    at::NAME,
    at::STATUS,
    at::CONTAINER_FORMAT,
    at::DISK_FORMAT,
    at::UPDATED_AT,
    at::CREATED_AT,
    at::OS_HIDDEN,
    at::MIN_RAM,
    at::MIN_DISK,
    at::SIZE,
    at::VIRTUAL_SIZE,
    at::CHECKSUM,
    at::OS_HASH_ALGO,
    at::OS_HASH_VALUE,
    at::TAGS,
    at::PROPERTIES,
    at::TEXTS,
];

/// The membership of an item.
pub(super) fn membership(item: &Item) -> Read<Membership> {
    let read = Reader::of(item)?;
    let added = read.parsed(at::ADDED, OperationId::parse)?;
    let op = read.parsed(at::OP, OperationId::parse)?;
    if read.is_gone() {
        return Ok(Membership::Gone { added, op });
    }
    let (image_id, member_id) = read.member_key()?;
    Ok(Membership::Present(Member {
        image_id,
        member_id,
        status: read.parsed(at::STATUS, MemberStatus::parse)?,
        // Releases up to 0.1.0 recorded a later share in `added` alone.
        shared: read.optional_id(at::SHARED)?.unwrap_or(added),
        shared_as: match read.has(at::SHARED_AS) {
            false => MemberStatus::Pending,
            true => read.parsed(at::SHARED_AS, MemberStatus::parse)?,
        },
        ended: read.optional_id(at::ENDED)?,
        vault_id: read.optional_text(at::VAULT_ID)?.map(str::to_owned),
        created_at: read.parsed(at::CREATED_AT, Timestamp::parse)?,
        updated_at: read.parsed(at::UPDATED_AT, Timestamp::parse)?,
        added,
        op,
        by: read.actor()?,
    }))
}

/// The largest membership, in bytes, that holds its image's projection: larger items than 1 KB would
/// double the write units of shares and answers.
const MEMBERSHIP_MAX: usize = 1020;

/// Builds the item of a membership of a shared image.
pub(super) fn member_item(member: &Member, image: &Known) -> Item {
    let mut item = at::member_key(member.image_id, &member.member_id);
    item.extend([
        (at::STATUS.to_owned(), s(member.status.as_str())),
        (at::CREATED_AT.to_owned(), s(member.created_at.stored())),
        (at::UPDATED_AT.to_owned(), s(member.updated_at.stored())),
        (at::ADDED.to_owned(), s(member.added.to_string())),
        (at::SHARED.to_owned(), s(member.shared.to_string())),
        (at::OP.to_owned(), s(member.op.to_string())),
    ]);
    if member.shared_as != MemberStatus::Pending {
        let status = s(member.shared_as.as_str());
        item.insert(at::SHARED_AS.to_owned(), status);
    }
    item.extend(by(member.by.as_ref()));
    item.extend(listed(member, image));
    item
}

/// Builds the attributes by which a membership of a shared image is in its member's and its owner's lists: all those of
/// [`LISTED`] that it has in its status.
pub(super) fn listed(member: &Member, image: &Known) -> Item {
    let name = image.name.as_deref().unwrap_or_default();
    let named = s(at::member_npk(&member.member_id, name));
    let gpk = at::status_gpk(member.status, &member.member_id);
    let mut item = Item::from([
        (at::GPK.to_owned(), s(gpk)),
        (
            at::GSK.to_owned(),
            s(at::image_gsk(image.created_at, member.image_id)),
        ),
        (at::OPK.to_owned(), s(at::shared_by_opk(&image.owner))),
        (
            at::OSK.to_owned(),
            s(at::share_osk(
                member.added,
                member.image_id,
                &member.member_id,
            )),
        ),
        (at::NAMED.to_owned(), named.clone()),
        (at::NPK.to_owned(), named),
    ]);
    // An answer must not make the item larger than a share did, so `npk` counts in any status.
    let key = at::member_key(member.image_id, &member.member_id);
    let by = member.by.as_ref().map_or(0, |by| by.stored().len());
    let bytes =
        UNLISTED_BYTES + by.max(BY_BYTES) + bytes_of(&key) + bytes_of(&item) + at::PROJECTION.len();
    let projection = match bytes + image.projection.len() <= MEMBERSHIP_MAX {
        true => image.projection.clone(),
        false => image.op.to_string(),
    };
    item.insert(at::PROJECTION.to_owned(), s(projection));
    if member.status != MemberStatus::Accepted {
        item.remove(at::NPK);
    }
    item
}

/// The size of an item's texts, as DynamoDB counts it.
fn bytes_of(item: &Item) -> usize {
    item.iter()
        .map(|(name, value)| name.len() + value.as_s().map_or(0, String::len))
        .sum()
}

/// The attributes by which a membership is in its member's lists.
pub(super) const LISTED: [&str; 7] = [
    at::GPK,
    at::GSK,
    at::NPK,
    at::NAMED,
    at::OPK,
    at::OSK,
    at::PROJECTION,
];

/// The size of a membership's other attributes: status, two times, three operations, the name of who wrote it. What few have is not
/// counted: a vault, a removal that came late, an answer by a rule.
const UNLISTED_BYTES: usize = 6 + 8 + 2 * (10 + 27) + (5 + 32) + (6 + 32) + (2 + 32) + at::BY.len();

/// Room for who shared or answered, with Keystone's ids of 32 digits: the one who answers may have a longer id
/// than the one who shared, but must not make the item larger.
const BY_BYTES: usize = 32 + 1 + 32;

/// Logs a record that does not parse and is left out of a list.
pub(super) fn skip(corrupt: &ApiError) {
    if let ApiError::Internal(why) | ApiError::Unavailable(why) = corrupt {
        tracing::error!(error.why = why.for_log(), "left out of a list");
    }
}
