//! The `authorizer` function: authenticates the caller for the gateway.
fn main() -> Result<(), lambda_runtime::Error> {
    authorizer::serve()
}
