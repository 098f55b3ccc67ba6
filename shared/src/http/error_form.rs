//! Writes errors: in the form of the path's family of clients, in the media type that `Accept` prefers.

use lambda_http::Body;
use serde::Serialize;

use super::request::{Request, accept};
use super::response::{Response, json, response, with_header};
use super::routes::{Family, NotUtf8, Path};
use super::site::Site;
use crate::domain::error::{ApiError, BadSignature, ErrorKind};
use crate::domain::ims_code::ImsCode;

/// The media type of an HTML page.
const HTML: &str = "text/html; charset=UTF-8";
/// The media types of a patch.
const PATCH_TYPES: &str = "application/openstack-images-v2.0-json-patch, \
                           application/openstack-images-v2.1-json-patch";

/// The sentence of a 503.
pub const UNAVAILABLE: &str =
    "The server is currently unavailable. Please try again at a later time.";
/// Most bytes of a sentence about a request. Sentences repeat what is wrong, which may be all of a request, and
/// HTML takes several times as much; Lambda answers with at most 6 MB.
const WORDS_MAX: usize = 64 * 1024;

/// When a project that has too much open work is told to try again, in seconds. Some hundred entries a second
/// are applied even on a small machine.
const RETRY_SECONDS: &str = "10";

/// The HTTP status of an error.
pub const fn status_of(error: &ApiError) -> u16 {
    match error {
        ApiError::Glance(refused) => match refused.kind {
            ErrorKind::BadRequest => 400,
            ErrorKind::Forbidden => 403,
            ErrorKind::NotFound | ErrorKind::NotServed => 404,
            ErrorKind::Conflict => 409,
            ErrorKind::PreconditionFailed => 412,
            ErrorKind::TooLarge => 413,
            ErrorKind::UnsupportedMediaType => 415,
            ErrorKind::Unprocessable => 422,
        },
        ApiError::Ims { in_path: true, .. } => 404,
        ApiError::Ims { code, .. } => match code {
            ImsCode::RoleTooWeak => 403,
            ImsCode::JobNotFound => 404,
            ImsCode::BadRequest
            | ImsCode::EmptyBody
            | ImsCode::BadImageId
            | ImsCode::BadProjectId
            | ImsCode::ImageNotFound
            | ImsCode::NotOwner
            | ImsCode::ImageUnavailable
            | ImsCode::SharingWithYourself
            | ImsCode::QuotaFull
            | ImsCode::PublicImage
            | ImsCode::NoSuchMember
            | ImsCode::NoSuchProject
            | ImsCode::AddFailed
            | ImsCode::DeleteFailed
            | ImsCode::VaultMissing
            | ImsCode::VaultUnusable
            | ImsCode::ForeignProject
            | ImsCode::TooMany => 400,
        },
        ApiError::TooMuchOpen(_) => 429,
        ApiError::MethodNotAllowed { .. } => 405,
        ApiError::BadSignature(BadSignature::TooMany) => 429,
        ApiError::Unauthorized | ApiError::BadSignature(_) => 401,
        ApiError::Unavailable(_) => 503,
        ApiError::Internal(_) => 500,
    }
}

/// An error for clients of Glance: in JSON if `Accept` asks for exactly that, in HTML for `*/*` or
/// `text/html`, in plain text otherwise.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = Error))]
pub struct GlanceError {
    /// What went wrong, and why.
    pub message: String,
    /// The status in full.
    #[cfg_attr(feature = "openapi", schema(pattern = "^[45][0-9]{2} "))]
    pub code: String,
    /// The name of the status.
    pub title: &'static str,
}

/// An error for clients of IMS.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ImsError {
    /// The error.
    pub error: ImsErrorDetail,
}

/// The code and the sentence of an error.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ImsErrorDetail {
    /// What kind of error it is.
    pub code: ErrorCode,
    /// What went wrong, and why.
    pub message: String,
}

/// The code of an error for clients of IMS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum ErrorCode {
    /// One of the codes of IMS.
    Ims(ImsCode),
    /// One that any API has.
    General(GeneralCode),
}

/// The codes of errors that any API has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum GeneralCode {
    /// 401
    Unauthorized,
    /// 405
    MethodNotAllowed,
    /// 429
    TooManyRequests,
    /// 503
    ServiceUnavailable,
    /// 500
    InternalError,
}

impl ErrorCode {
    /// The code that clients of IMS find in the body of an error.
    pub const fn of(error: &ApiError) -> Self {
        match error {
            ApiError::Ims { code, .. } => Self::Ims(*code),
            ApiError::TooMuchOpen(_) => Self::Ims(ImsCode::TooMany),
            ApiError::Glance(refused) => Self::Ims(match refused.kind {
                ErrorKind::BadRequest
                | ErrorKind::Conflict
                | ErrorKind::PreconditionFailed
                | ErrorKind::TooLarge
                | ErrorKind::UnsupportedMediaType
                | ErrorKind::Unprocessable => ImsCode::BadRequest,
                ErrorKind::Forbidden => ImsCode::RoleTooWeak,
                ErrorKind::NotFound | ErrorKind::NotServed => ImsCode::ImageNotFound,
            }),
            ApiError::MethodNotAllowed { .. } => Self::General(GeneralCode::MethodNotAllowed),
            ApiError::BadSignature(BadSignature::TooMany) => {
                Self::General(GeneralCode::TooManyRequests)
            }
            ApiError::Unauthorized | ApiError::BadSignature(_) => {
                Self::General(GeneralCode::Unauthorized)
            }
            ApiError::Unavailable(_) => Self::General(GeneralCode::ServiceUnavailable),
            ApiError::Internal(_) => Self::General(GeneralCode::InternalError),
        }
    }
}

/// The form in which an error of a request is written.
pub struct ErrorForm {
    family: Family,
    /// The method of the request.
    pub method: String,
    media: Media,
    auth_uri: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Media {
    Plain,
    Html,
    Json,
}

impl ErrorForm {
    /// Determines the form for a request.
    pub fn of(request: &Request, path: &Result<Path, NotUtf8>, site: &Site) -> Self {
        Self {
            family: match path {
                Ok(path) => path.family(),
                Err(bad) => bad.family,
            },
            method: request.method().as_str().to_owned(),
            media: match accept(request).best(&["text/html", "application/json"]) {
                Some("text/html") => Media::Html,
                Some(_) => Media::Json,
                None => Media::Plain,
            },
            auth_uri: match &site.auth_uri {
                Some(uri) => uri.clone(),
                None => format!("{}/identity/v3", site.base_url(request)),
            },
        }
    }

    /// The response that reports the error.
    pub fn render(&self, error: &ApiError) -> Response {
        let mut response = match self.family {
            Family::Ims => {
                let (explanation, detail, _) = words(error);
                let body = ImsErrorDetail {
                    code: ErrorCode::of(error),
                    message: sentence(&explanation, &detail),
                };
                json(status_of(error), &ImsError { error: body })
            }
            Family::Glance => self.glance(error),
        };
        response = with_own_header(response, error, &self.auth_uri);
        if self.method == "HEAD" {
            // Glance names the type that browsers get, although a HEAD has no body.
            *response.body_mut() = Body::Empty;
            response = with_header(response, "content-type", HTML);
        }
        response
    }

    /// The body for clients of Glance, in the media type that the request prefers.
    fn glance(&self, error: &ApiError) -> Response {
        let status = status_of(error);
        let title = title(status);
        let (explanation, detail, tail) = words(error);
        let media = match (error, self.media) {
            (ApiError::Glance(refused), Media::Plain) if refused.kind == ErrorKind::NotServed => {
                Media::Json
            }
            (_, media) => media,
        };
        match media {
            Media::Json => {
                let body = GlanceError {
                    message: sentence(&explanation, &detail),
                    code: format!("{status} {title}"),
                    title,
                };
                json(status, &body)
            }
            Media::Html => response(status, Some(HTML), html(status, &explanation, &detail)),
            Media::Plain => {
                let on_one_line = |text: &str| text.replace('\r', "").replace('\n', " ");
                let (explanation, detail) = (on_one_line(&explanation), on_one_line(&detail));
                let tail = match tail {
                    Tail::Wide => format!("\n\n {detail}  "),
                    Tail::Narrow => format!(" \n\n {detail}"),
                };
                let body = format!("{status} {title}\n\n{explanation}{tail}");
                response(status, Some("text/plain; charset=UTF-8"), body)
            }
        }
    }
}

/// The response with the header that its status calls for.
fn with_own_header(response: Response, error: &ApiError, auth_uri: &str) -> Response {
    match error {
        ApiError::BadSignature(BadSignature::TooMany) => with_header(response, "retry-after", "60"),
        ApiError::Unauthorized | ApiError::BadSignature(_) => {
            let ask = format!("Keystone uri=\"{auth_uri}\"");
            with_header(response, "www-authenticate", &ask)
        }
        ApiError::MethodNotAllowed { allow, .. } => with_header(response, "allow", allow),
        ApiError::Glance(refused) if refused.kind == ErrorKind::UnsupportedMediaType => {
            with_header(response, "accept-patch", PATCH_TYPES)
        }
        ApiError::Unavailable(_) => with_header(response, "retry-after", "1"),
        ApiError::TooMuchOpen(_) => with_header(response, "retry-after", RETRY_SECONDS),
        ApiError::Glance(_) | ApiError::Ims { .. } | ApiError::Internal(_) => response,
    }
}

/// The white space around the detail in plain text, which Glance has in two variants.
enum Tail {
    Wide,
    Narrow,
}

/// The explanation and the detail of an error. What they repeat of a request is cut.
fn words(error: &ApiError) -> (String, String, Tail) {
    let (explanation, detail, tail) = whole_words(error);
    (cut(explanation), cut(detail), tail)
}

fn cut(mut words: String) -> String {
    words.truncate(words.floor_char_boundary(WORDS_MAX));
    words
}

fn whole_words(error: &ApiError) -> (String, String, Tail) {
    let general = |status: u16| match status {
        401 => {
            "This server could not verify that you are authorized to access the document you \
             requested. Either you supplied the wrong credentials (e.g., bad password), or your \
             browser does not understand how to supply the credentials required."
        }
        403 => "Access was denied to this resource.",
        404 => "The resource could not be found.",
        409 => "There was a conflict when trying to complete your request.",
        503 => UNAVAILABLE,
        _ => "The server has either erred or is incapable of performing the requested operation.",
    };
    match error {
        ApiError::Glance(refused) if refused.kind == ErrorKind::UnsupportedMediaType => (
            format!(
                "The request media type {} is not supported by this server.",
                refused.explanation.as_deref().unwrap_or_default()
            ),
            format!("Image PATCH expects Content-Type one of: {PATCH_TYPES}"),
            Tail::Narrow,
        ),
        ApiError::Glance(refused) => {
            let explanation = refused.explanation.as_deref();
            (
                explanation.unwrap_or(general(status_of(error))).to_owned(),
                refused.detail.clone().unwrap_or_default(),
                Tail::Wide,
            )
        }
        ApiError::Ims { message, .. } | ApiError::TooMuchOpen(message) => {
            (message.clone(), String::new(), Tail::Wide)
        }
        ApiError::MethodNotAllowed { method, .. } => (
            format!("The method {method} is not allowed for this resource."),
            String::new(),
            Tail::Narrow,
        ),
        ApiError::BadSignature(why) => (why.words().to_owned(), String::new(), Tail::Wide),
        ApiError::Unauthorized | ApiError::Unavailable(_) | ApiError::Internal(_) => (
            general(status_of(error)).to_owned(),
            String::new(),
            Tail::Wide,
        ),
    }
}

fn sentence(explanation: &str, detail: &str) -> String {
    format!("{explanation} {detail}").trim().to_owned()
}

const fn title(status: u16) -> &'static str {
    match status {
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        409 => "Conflict",
        412 => "Precondition Failed",
        413 => "Request Entity Too Large",
        415 => "Unsupported Media Type",
        422 => "Unprocessable Entity",
        429 => "Too Many Requests",
        503 => "Service Unavailable",
        _ => "Internal Server Error",
    }
}

fn html(status: u16, explanation: &str, detail: &str) -> String {
    let escape = |text: &str| {
        let mut escaped = String::with_capacity(text.len());
        for c in text.chars() {
            match c {
                '&' => escaped.push_str("&amp;"),
                '<' => escaped.push_str("&lt;"),
                '>' => escaped.push_str("&gt;"),
                '"' => escaped.push_str("&quot;"),
                '\'' => escaped.push_str("&#x27;"),
                c if c.is_ascii() => escaped.push(c),
                c => escaped.push_str(&format!("&#{};", u32::from(c))),
            }
        }
        escaped
    };
    let (title, explanation, detail) = (title(status), escape(explanation), escape(detail));
    format!(
        "<html>\n <head>\n  <title>{status} {title}</title>\n </head>\n <body>\n  <h1>{status} \
         {title}</h1>\n  {explanation}<br /><br />\n{detail}\n\n\n </body>\n</html>"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_escaped() {
        assert!(html(404, "<script>\"'&é", "").contains("&lt;script&gt;&quot;&#x27;&amp;&#233;"));
    }
}
