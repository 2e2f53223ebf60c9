{# The message is not repeated: whoever typed this address may not be the one who reads it. -#}
Dear {{ form.name }},

thank you for signing {{ guestbook.title }}. Your entry stands here for all to read:
{{ page }}
