"""Names and free text are text: on the page no markup, in a file no formula."""

from playwright.sync_api import expect

from tests.browser.house import House
from tests.browser.visitor import Visitor

MARKUP = "<img src=x onerror=hacked=1>"
FORMULA = "=cmd()|calc"


def test_a_name_that_is_markup_is_shown_as_it_is(visitor: Visitor) -> None:
    page = visitor.page
    visitor.sign_in("ada")
    visitor.go("users")
    people = page.get_by_role("region", name="Users", exact=True).first
    people.get_by_label("User", exact=True).fill("mallory")
    people.get_by_label("Name", exact=True).fill(MARKUP)
    people.get_by_role("button", name="Add user").click()
    expect(page.get_by_role("cell", name=MARKUP)).to_be_visible()
    expect(page.get_by_text("One-time password of mallory.")).to_be_visible()
    machines = page.get_by_role("region", name="Tokens for machines").first
    machines.get_by_label("Name", exact=True).fill(FORMULA)
    machines.get_by_role("button", name="Add token").click()
    expect(page.get_by_role("rowheader", name=FORMULA)).to_be_visible()
    assert page.locator("img").count() == 0
    assert page.evaluate("typeof hacked") == "undefined"


def test_whoever_has_a_one_time_password_chooses_their_own(house: House, visitor: Visitor) -> None:
    page = visitor.page
    visitor.sign_in("ada", anew=True)
    visitor.go("users")
    people = page.get_by_role("region", name="Users", exact=True).first
    people.get_by_label("User", exact=True).fill("nora")
    people.get_by_label("Name", exact=True).fill("Nora")
    people.get_by_role("button", name="Add user").click()
    once = page.locator(".secret").inner_text()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("button", name="Sign in")).to_be_visible()
    visitor.fill_in("nora", once)
    expect(page.get_by_text("Before you go on, choose a password of your own.")).to_be_visible()
    visitor.go("overview")
    expect(visitor.title("Your account")).to_be_visible()  # nothing else is open yet, but the stop
    expect(page.locator("#dock [data-stop^=site]")).to_be_visible()
    page.get_by_label("Present password").fill(f"not {once}")
    for again in ("New password (at least 12 characters)", "New password, again"):
        page.get_by_label(again).fill("amber-heron-walks-7-miles")
    page.get_by_role("button", name="Change it").click()
    expect(page.locator(".wrong")).to_have_text("The present password is wrong.")  # and nobody is put out for it
    page.get_by_label("Present password").fill(once)
    page.get_by_role("button", name="Change it").click()
    expect(page.get_by_text("Your password is changed.").first).to_be_visible()
    visitor.go("overview")
    expect(visitor.title("Overview")).to_be_visible()


def test_no_script_runs_that_is_not_a_file_of_ours(visitor: Visitor) -> None:
    visitor.sign_in("vera")
    visitor.page.evaluate("""() => {
      const script = document.createElement("script");
      script.textContent = "window.hacked = 1";
      document.body.append(script);
      document.body.insertAdjacentHTML("beforeend", "<img src=x onerror='window.hacked = 1'>");
    }""")
    visitor.drawn()
    assert visitor.page.evaluate("typeof hacked") == "undefined"
    assert any("Content Security Policy" in said for said in visitor.broken)
    visitor.broken.clear()
