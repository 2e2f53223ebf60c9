<!doctype html>
<html lang="en">
<body style="margin: 0; padding: 24px; background: #f6f3ee; color: #29241f; font: 16px/1.6 system-ui, sans-serif">
  <div style="max-width: 32em; margin: 0 auto; padding: 32px; background: #fff; border-radius: 12px">
    <h1 style="margin: 0 0 16px; font: 600 24px/1.3 Georgia, serif">Dear {{ form.name }},</h1>
    <p style="margin: 0">thank you for signing {{ guestbook.title }}.
      Your entry stands <a href="{{ page }}" style="color: #a63c14">in the book</a> for all to read.</p>
  </div>
</body>
</html>
