//! The minimal function: reads one item and answers. The service's functions are compared with it.

use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_dynamodb::types::AttributeValue;
use aws_smithy_http_client::tls;
use lambda_http::{Body, Error, Response, run, service_fn};

#[tokio::main]
async fn main() -> Result<(), Error> {
    let http = aws_smithy_http_client::Builder::new()
        .tls_provider(tls::Provider::Rustls(
            tls::rustls_provider::CryptoMode::Ring,
        ))
        .build_https();
    let key = std::env::var("AWS_ACCESS_KEY_ID")?;
    let secret = std::env::var("AWS_SECRET_ACCESS_KEY")?;
    let config = aws_sdk_dynamodb::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(std::env::var("AWS_REGION")?))
        .credentials_provider(Credentials::new(key, secret, None, None, "environment"))
        .endpoint_url(std::env::var("AWS_ENDPOINT_URL")?)
        .http_client(http)
        .build();
    let client = aws_sdk_dynamodb::Client::from_conf(config);
    let client = &client;
    run(service_fn(move |_: lambda_http::Request| async move {
        client
            .get_item()
            .table_name("imshare")
            .key("pk", AttributeValue::S("nothing".to_owned()))
            .key("sk", AttributeValue::S("nothing".to_owned()))
            .send()
            .await?;
        Ok::<_, Error>(Response::new(Body::from("{}")))
    }))
    .await
}
