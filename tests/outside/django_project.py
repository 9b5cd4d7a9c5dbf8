"""A Django project in one file: public and personal pages, forms, sessions and the back office.

Run by gunicorn as `django_project:application`; its folder is in DJANGO_FOLDER.
"""

import os
import pathlib
import sys

import django
from django.conf import settings
from django.core.management import execute_from_command_line
from django.core.wsgi import get_wsgi_application

FOLDER = pathlib.Path(os.environ["DJANGO_FOLDER"])
TEMPLATES = {
    "registration/login.html": "<form id=login method=post>{% csrf_token %}{{ form }}</form>",
    "form.html": "<form id=word method=post>{% csrf_token %}<input name=word></form>{{ messages }}"
    "{% for it in messages %}<p>{{ it }}</p>{% endfor %}",
}
CONTRIB = ("admin", "auth", "contenttypes", "sessions", "messages", "staticfiles")

settings.configure(
    SECRET_KEY="of a test",
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": FOLDER / "db.sqlite3"}},
    DEFAULT_AUTO_FIELD="django.db.models.AutoField",
    PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
    LOGIN_REDIRECT_URL="/account/",
    STATIC_URL="/static/",
    INSTALLED_APPS=[f"django.contrib.{it}" for it in CONTRIB],
    MIDDLEWARE=[
        "django.middleware.http.ConditionalGetMiddleware",
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.common.CommonMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        "django.contrib.messages.middleware.MessageMiddleware",
    ],
    TEMPLATES=[
        {
            "BACKEND": "django.template.backends.django.DjangoTemplates",
            "OPTIONS": {
                "loaders": [
                    ("django.template.loaders.locmem.Loader", TEMPLATES),
                    "django.template.loaders.app_directories.Loader",
                ],
                "context_processors": [
                    "django.template.context_processors.request",
                    "django.contrib.auth.context_processors.auth",
                    "django.contrib.messages.context_processors.messages",
                ],
            },
        }
    ],
)
django.setup()

from django.contrib import admin, messages  # noqa: E402
from django.contrib.auth import views as auth  # noqa: E402
from django.contrib.auth.decorators import login_required  # noqa: E402
from django.contrib.auth.models import User  # noqa: E402
from django.http import HttpResponse  # noqa: E402
from django.shortcuts import redirect, render  # noqa: E402
from django.urls import path, re_path  # noqa: E402
from django.views.decorators.cache import cache_control  # noqa: E402
from django.views.static import serve  # noqa: E402


@cache_control(public=True, s_maxage=60)
def home(request):
    return HttpResponse(f"A page for all. {request.META['QUERY_STRING']}")


@cache_control(max_age=60)
def hello(request):
    """Anybody may keep it, and it hangs on the cookie: `max-age=60` with `Vary: Cookie`."""
    return HttpResponse(f"Hello {request.user.username or 'stranger'}.")


@login_required
def account(request):
    return HttpResponse(f"The account of {request.user.username}.")


def form(request):
    if request.method == "POST":
        messages.info(request, f"Thanks for {request.POST['word']}.")
        return redirect("/form/")
    return render(request, "form.html")


def basket(request):
    goods = request.session.get("goods", [])
    if request.GET.get("add"):
        request.session["goods"] = goods = [*goods, request.GET["add"]]
    return HttpResponse(f"In the basket: {','.join(goods)}.")


def length(request):
    return HttpResponse(str(len(request.body)))


urlpatterns = [
    path("", home),
    path("hello/", hello),
    path("account/", account),
    path("form/", form),
    path("basket/", basket),
    path("length/", length),
    path("accounts/login/", auth.LoginView.as_view()),
    path("accounts/logout/", auth.LogoutView.as_view()),
    path("admin/", admin.site.urls),
    re_path(r"^static/(?P<path>.*)$", serve, {"document_root": FOLDER}),
]
application = get_wsgi_application()


if __name__ == "__main__":
    execute_from_command_line([sys.argv[0], "migrate", "--verbosity=0"])
    User.objects.create_superuser("root", password="root")
    for name in ("alice", "bob"):
        User.objects.create_user(name, password=name)
