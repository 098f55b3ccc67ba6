"""Tells Glance who asks by the demo tokens of imshare alone: the least that an authentication can cost it."""

CALLERS = {
    "owner-token-0123456789abcdef": ("u-owner", "5ef9f7a1c2d3460a9d0d4c6b8f5a1e01"),
    "member-token-0123456789abcdef": ("u-member", "edc89b490d7d4392898e19b2deb34797"),
}


def factory(_settings):
    def over(application):
        def answer(environ, start_response):
            caller = CALLERS.get(environ.get("HTTP_X_AUTH_TOKEN"))
            if caller:
                user, project = caller
                environ["HTTP_X_IDENTITY_STATUS"] = "Confirmed"
                environ["HTTP_X_USER_ID"] = user
                environ["HTTP_X_PROJECT_ID"] = project
                environ["HTTP_X_ROLES"] = "member,reader"
            return application(environ, start_response)

        return answer

    return over
