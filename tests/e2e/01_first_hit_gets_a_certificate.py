"""The first visitor of an active name gets a certificate made on the spot, and the app's answer, Host untouched."""


def test_first_visit_is_served_with_a_certificate_of_that_name(platform):
    platform.activate("shop.brand.test")
    visit = platform.visit("shop.brand.test", "/hello?x=1")
    print(f"first hit: {visit.milliseconds:.0f} ms")
    assert visit.status == 200
    assert visit.names == ["shop.brand.test"]
    assert visit.json()["host"] == "shop.brand.test"
    assert visit.json()["uri"] == "/hello?x=1"


def test_second_visit_uses_the_same_certificate(platform):
    platform.activate("shop.brand.test")
    first = platform.visit("shop.brand.test")
    second = platform.visit("shop.brand.test")
    print(f"first hit {first.milliseconds:.0f} ms, second {second.milliseconds:.0f} ms")
    assert second.serial == first.serial
    assert platform.pebble.orders() == 1


def test_host_with_port_and_case_reaches_the_app_byte_for_byte(platform):
    platform.activate("shop.brand.test")
    visit = platform.visit("shop.brand.test", headers={"Host": "Shop.Brand.test:8443"})
    assert visit.json()["host"] == "Shop.Brand.test:8443"
