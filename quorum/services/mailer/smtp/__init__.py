"""SMTP: the driver, and the connection underneath."""

from quorum.services.mailer.smtp.driver import SmtpMailer

__all__ = ["SmtpMailer"]
