"""Tells Glance who asks by fixed tokens alone: the least that an authentication can cost it."""

OWNER = "5ef9f7a1c2d3460a9d0d4c6b8f5a1e01"

CALLERS = {
    "owner-token-0123456789abcdef": ("u-owner", OWNER, "member,reader"),
    "member-token-0123456789abcdef": ("u-member", "edc89b490d7d4392898e19b2deb34797", "member,reader"),
    "member2-token-0123456789abcdef": ("u-member2", "7d4a3b1f0c9e4f8d8a6b5c4d3e2f1a02", "member,reader"),
    "third-token-0123456789abcdef": ("u-third", "33333333333333333333333333333333", "member,reader"),
    "admin-token-0123456789abcdef": ("u-admin", "a0b1c2d3e4f5460718293a4b5c6d7e8f", "admin,member,reader"),
    "owner-reader-token-0123456789": ("u-reader", OWNER, "reader"),
    "owner-norole-token-0123456789": ("u-norole", OWNER, ""),
}


def factory(_settings):
    def over(application):
        def answer(environ, start_response):
            caller = CALLERS.get(environ.get("HTTP_X_AUTH_TOKEN"))
            if caller:
                user, project, roles = caller
                environ["HTTP_X_IDENTITY_STATUS"] = "Confirmed"
                environ["HTTP_X_USER_ID"] = user
                environ["HTTP_X_PROJECT_ID"] = project
                environ["HTTP_X_ROLES"] = roles
            return application(environ, start_response)

        return answer

    return over
